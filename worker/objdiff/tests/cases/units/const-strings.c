/*
 * One of a constant table's strings: the running pointer is followed to see
 * that it is the old one, and the unchanged pointers are left alone.
 *
 * outcome: replace
 * exchanged: names
 * held: "second"
 * late-in: .rodata
 */
static const char *const names[] = {
	"one",
#ifdef POST
	"second",
#else
	"two",
#endif
	"three",
};

const char *name(int i)
{
	return names[i];
}
