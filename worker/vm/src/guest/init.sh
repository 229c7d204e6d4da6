#!/bin/sh
# The guest's first process: mounts, loads drivers, then answers commands on
# the second serial line. The protocol is described in src/channel.rs.
export PATH=/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/bin HOME=/root TERM=dumb LC_ALL=C

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=755 tmpfs /run
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
mount -t bpf bpf /sys/fs/bpf 2>/dev/null
mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/mounts /etc/mtab
mkdir -p /run/resplice-vm
hostname "$(cat /etc/hostname)"

while read -r module; do
	insmod "$module" || echo "resplice-vm: insmod $module failed"
done </etc/resplice-vm/load
[ -s /etc/resplice-vm/available ] && depmod

ip link set lo up
if [ -e /etc/resplice-vm/network ]; then
	ip link set eth0 up
	ip addr add 10.0.2.15/24 dev eth0
	ip route add default via 10.0.2.2
fi

tty=/dev/ttyS1
disk=/dev/vda
spool=/run/resplice-vm
block=65536
inline_bytes=16384
stty -F $tty 115200 raw -echo -hupcl clocal
exec 3<>$tty

# size FILE: its bytes
size() { stat -c %s "$1"; }

# to_disk FILE FIRST_BLOCK: at most $half blocks of FILE, past the page cache
to_disk() {
	[ -s "$1" ] || return 0
	dd if="$1" of=$disk bs=$block count="$half" seek="$2" conv=sync,notrunc oflag=direct 2>/dev/null
}

# Busybox's setsid would take its own shell for a plain `sh`.
# run TOKEN LIMIT_S SCRIPT_BASE64
run() {
	out=$spool/$1.out err=$spool/$1.err late=$spool/$1.late script=$spool/$1.sh
	echo "$3" | base64 -d >"$script"
	setsid /bin/sh "$script" </dev/null >"$out" 2>"$err" 3>&- &
	pid=$!
	setsid /bin/sh -c "sleep $2; : >$late; kill -KILL -$pid $pid" </dev/null >/dev/null 2>&1 3>&- &
	watchdog=$!
	wait $pid
	code=$?
	kill -KILL -$watchdog $watchdog 2>/dev/null
	wait $watchdog 2>/dev/null
	state=done
	[ -e "$late" ] && state=late
	out_bytes=$(size "$out") err_bytes=$(size "$err") place=line
	if [ $((out_bytes + err_bytes)) -gt $inline_bytes ]; then
		half=$(($(cat /sys/block/vda/size) * 512 / block / 2))
		place=disk
		to_disk "$out" 0 && to_disk "$err" "$half" || place=none
	fi
	{
		echo "@$1 $state $code $out_bytes $err_bytes $place"
		[ $place = line ] && cat "$out" "$err"
		echo "@$1 end"
	} >&3
	rm -f "$out" "$err" "$late" "$script"
}

# Firmware may have left half a line there.
printf '\n@ready %s\n' "$(uname -r)" >&3
while :; do
	IFS=' ' read -r verb token limit script <&3 || continue
	case $verb in
	run) run "$token" "$limit" "$script" ;;
	*) echo "resplice-vm: unknown request '$verb'" ;;
	esac
done
