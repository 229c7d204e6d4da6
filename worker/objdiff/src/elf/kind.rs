//! What a section is, by its name: the linker script and the kernel's table
//! macros give each name its meaning. A name nobody knows is an error, since
//! a section that is not understood can't be carried over.

use crate::hook::HookKind;

const SHF_ALLOC: u64 = 0x2;
const SHF_EXECINSTR: u64 = 0x4;
const SHF_MERGE: u64 = 0x10;
const SHF_STRINGS: u64 = 0x20;

/// The known kinds of sections in kernel objects (Linux 6.1 and 6.12, x86-64).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SectionKind {
    /// Resident code: `.text`, `.text.*`, `.noinstr.text`, `.sched.text` ….
    Text,
    /// `.static_call.text`: trampolines of static calls, resident.
    StaticCallText,
    /// Code freed after boot or after a module's init.
    InitText,
    /// Code of `__exit` functions; not resident in vmlinux.
    ExitText,
    /// `.altinstr_aux`: the slow path of `static_cpu_has`, used before alternatives ran.
    AltinstrAux,
    /// `.altinstr_replacement`: code of alternatives; copied, never run in place.
    AltinstrReplacement,
    /// Read-only data that stays as it is.
    Rodata,
    /// NUL-terminated strings that the linker may merge.
    MergeStrings,
    /// Constants of `sh_entsize` bytes that the linker may merge.
    MergeConstants,
    /// Writable data, also `.data..read_mostly` and the like.
    Data,
    /// `.data.once`: flags of `*_once` macros.
    DataOnce,
    /// Data that is read-only after boot.
    RoAfterInit,
    /// Per-CPU data: values are offsets, not addresses.
    PerCpu,
    /// Zeroed data.
    Bss,
    /// Data freed after boot, initcall and setup tables included.
    InitData,
    /// Data of `__exit` code.
    ExitData,
    /// `__mcount_loc`: addresses of fentry calls (8 bytes each).
    McountLoc,
    /// `.return_sites` (4 bytes each).
    ReturnSites,
    /// `.retpoline_sites` (4 bytes each).
    RetpolineSites,
    /// `.call_sites` (4 bytes each): calls, for those CPUs on which their depth is counted.
    CallSites,
    /// `.ibt_endbr_seal` (4 bytes each).
    IbtEndbrSeal,
    /// `.altinstructions`: struct alt_instr (12 bytes each; 14 from Linux 6.3 on).
    Altinstructions,
    /// `.parainstructions`: struct paravirt_patch_site (16 bytes each).
    Parainstructions,
    /// `.smp_locks` (4 bytes each).
    SmpLocks,
    /// `runtime_ptr_VARIABLE`, `runtime_shift_VARIABLE` (4 bytes each).
    RuntimeConst,
    /// `__jump_table`: struct jump_entry (16 bytes each).
    JumpTable,
    /// `.static_call_sites` (8 bytes each).
    StaticCallSites,
    /// `.static_call_tramp_key` (8 bytes each).
    StaticCallTrampKey,
    /// `__bug_table`: struct bug_entry (12 bytes each).
    BugTable,
    /// `__ex_table`: struct exception_table_entry (12 bytes each).
    ExTable,
    /// `.orc_unwind` (6 bytes each, in step with [`SectionKind::OrcUnwindIp`]).
    OrcUnwind,
    /// `.orc_unwind_ip` (4 bytes each).
    OrcUnwindIp,
    /// `__tracepoints`, `__tracepoints_ptrs`, `__tracepoints_strings`, `__bpf_raw_tp_map`.
    Tracepoints,
    /// `_ftrace_events`, `_ftrace_eval_map`, `__trace_printk_fmt`, `__tracepoint_str`.
    FtraceEvents,
    /// `__syscalls_metadata`.
    SyscallsMetadata,
    /// `__dyndbg`, `__dyndbg_classes`.
    Dyndbg,
    /// `___ksymtab[_gpl]+NAME`; from Linux 6.5 on `.export_symbol`, of which modpost makes it.
    Ksymtab,
    /// `__ksymtab_strings`.
    KsymtabStrings,
    /// `___kcrctab[_gpl]+NAME`.
    Kcrctab,
    /// `__param`, `__modver`.
    Param,
    /// `_error_injection_whitelist`.
    ErrorInjection,
    /// `_kprobe_blacklist`.
    KprobeBlacklist,
    /// `.BTF_ids`.
    BtfIds,
    /// `.resplice.declare`: what the patch's author declares; see [`crate::declare`].
    Declare,
    /// `.resplice.hook.KIND`: pointers to hooks; see [`crate::hook`].
    Hook,
    /// `.printk_index`.
    PrintkIndex,
    /// `.pci_fixup*`.
    PciFixup,
    /// `___srcu_struct_ptrs`.
    SrcuPointers,
    /// `.modinfo`.
    Modinfo,
    /// `.gnu.linkonce.this_module`.
    ThisModule,
    /// `__versions`: checksums of imported symbols in a finished module.
    Versions,
    /// `.note*`.
    Note,
    /// `.discard.*` and others that only tools read; dropped by the linker, or of no meaning.
    Discard,
    /// DWARF and unwind tables that the kernel does not load; contents are not kept.
    Debug,
    /// Symbol, string and relocation tables and the like; contents are not kept.
    Meta,
    /// Any other section that is not loaded.
    Unloaded,
}

impl SectionKind {
    /// The kind of a section by name and `sh_flags`; `None` for a loaded
    /// section whose name is not known.
    pub fn classify(name: &str, flags: u64) -> Option<Self> {
        use SectionKind::*;
        let has = |flag: u64| flags & flag != 0;
        let alloc = has(SHF_ALLOC);
        if let Some(kind) = by_name(name) {
            return Some(kind);
        }
        if !alloc {
            let debug = name.starts_with(".debug_") || name == ".eh_frame";
            return Some(if debug { Debug } else { Unloaded });
        }
        if has(SHF_EXECINSTR) {
            return text_by_name(name);
        }
        let rodata = name == ".rodata" || name.starts_with(".rodata.");
        if has(SHF_MERGE) {
            return match (rodata, has(SHF_STRINGS)) {
                (true, true) => Some(MergeStrings),
                (true, false) => Some(MergeConstants),
                _ => None,
            };
        }
        if rodata {
            return Some(Rodata);
        }
        data_by_name(name)
    }

    /// Code the kernel keeps: its bytes are matched.
    pub fn is_resident_text(self) -> bool {
        matches!(self, Self::Text | Self::StaticCallText)
    }

    /// Any section that holds instructions.
    pub fn is_code(self) -> bool {
        self.is_resident_text()
            || matches!(
                self,
                Self::InitText | Self::ExitText | Self::AltinstrAux | Self::AltinstrReplacement
            )
    }

    /// Strings or constants that the linker may move and merge piece by piece.
    pub fn is_merged(self) -> bool {
        matches!(self, Self::MergeStrings | Self::MergeConstants)
    }

    /// Freed after boot (or not loaded at all): nothing may rely on it.
    pub fn is_init(self) -> bool {
        matches!(
            self,
            Self::InitText
                | Self::ExitText
                | Self::InitData
                | Self::ExitData
                | Self::AltinstrAux
                | Self::AltinstrReplacement
        )
    }

    /// Plain data objects: read-only, writable, zeroed or per CPU.
    pub fn is_data(self) -> bool {
        matches!(
            self,
            Self::Rodata
                | Self::Data
                | Self::DataOnce
                | Self::RoAfterInit
                | Self::PerCpu
                | Self::Bss
        )
    }

    /// Whether the reader keeps bytes and relocations of such a section.
    pub fn has_contents(self) -> bool {
        !matches!(self, Self::Debug | Self::Meta | Self::Unloaded)
    }
}

fn by_name(name: &str) -> Option<SectionKind> {
    use SectionKind::*;
    Some(match name {
        "__mcount_loc" => McountLoc,
        ".return_sites" => ReturnSites,
        ".retpoline_sites" => RetpolineSites,
        ".call_sites" => CallSites,
        ".ibt_endbr_seal" => IbtEndbrSeal,
        ".altinstructions" => Altinstructions,
        ".altinstr_replacement" => AltinstrReplacement,
        ".altinstr_aux" => AltinstrAux,
        ".parainstructions" => Parainstructions,
        ".smp_locks" => SmpLocks,
        "__jump_table" => JumpTable,
        ".static_call_sites" => StaticCallSites,
        ".static_call_tramp_key" => StaticCallTrampKey,
        ".static_call.text" => StaticCallText,
        "__bug_table" => BugTable,
        "__ex_table" => ExTable,
        ".orc_unwind" => OrcUnwind,
        ".orc_unwind_ip" => OrcUnwindIp,
        "__tracepoints" | "__tracepoints_ptrs" | "__tracepoints_strings" | "__bpf_raw_tp_map" => {
            Tracepoints
        }
        "_ftrace_events" | "_ftrace_eval_map" | "__trace_printk_fmt" | "__tracepoint_str" => {
            FtraceEvents
        }
        "__syscalls_metadata" => SyscallsMetadata,
        "__dyndbg" | "__dyndbg_classes" => Dyndbg,
        "__ksymtab_strings" => KsymtabStrings,
        "__param" | "__modver" => Param,
        "_error_injection_whitelist" => ErrorInjection,
        "_kprobe_blacklist" => KprobeBlacklist,
        ".BTF_ids" => BtfIds,
        ".printk_index" => PrintkIndex,
        ".resplice.declare" => Declare,
        "___srcu_struct_ptrs" => SrcuPointers,
        "__versions" => Versions,
        ".modinfo" => Modinfo,
        ".BTF" | ".BTF.ext" => Debug,
        ".gnu.linkonce.this_module" => ThisModule,
        ".comment" | ".symtab" | ".strtab" | ".shstrtab" | ".symtab_shndx" | "" => Meta,
        _ if name.starts_with(".rela") && !name.starts_with(".relax") => Meta,
        _ if name.starts_with("___ksymtab") || name == "__ksymtab" || name == "__ksymtab_gpl" => {
            Ksymtab
        }
        _ if name.starts_with("___kcrctab") || name == "__kcrctab" || name == "__kcrctab_gpl" => {
            Kcrctab
        }
        // What kbuild and debuggers read of an object; nothing of the running kernel does.
        ".orc_header" | "__patchable_function_entries" => Discard,
        ".export_symbol" => Ksymtab,
        _ if name.starts_with(".discard") => Discard,
        _ if name.starts_with(".note") => Note,
        _ if name.starts_with("runtime_ptr_") || name.starts_with("runtime_shift_") => RuntimeConst,
        _ if name.starts_with(".pci_fixup") => PciFixup,
        _ if HookKind::of_section(name).is_some() => Hook,
        _ => return None,
    })
}

fn text_by_name(name: &str) -> Option<SectionKind> {
    use SectionKind::*;
    const RESIDENT: [&str; 10] = [
        ".text",
        ".noinstr.text",
        ".sched.text",
        ".lock.text",
        ".cpuidle.text",
        ".kprobes.text",
        ".spinlock.text",
        ".ref.text",
        ".irqentry.text",
        ".softirqentry.text",
    ];
    // Memory hotplug keeps .meminit and .memexit text (MEM_KEEP in vmlinux.lds.h).
    const KEPT: [&str; 3] = [".meminit.text", ".memexit.text", ".entry.text"];
    // INIT_TEXT and EXIT_TEXT in vmlinux.lds.h take these two along.
    match name {
        ".text.startup" => return Some(InitText),
        ".text.exit" => return Some(ExitText),
        _ => {}
    }
    if RESIDENT.contains(&name) || KEPT.contains(&name) || name.starts_with(".text.") {
        return Some(Text);
    }
    match name {
        ".init.text" | ".head.text" => Some(InitText),
        ".exit.text" => Some(ExitText),
        _ => None,
    }
}

fn data_by_name(name: &str) -> Option<SectionKind> {
    use SectionKind::*;
    let under = |prefix: &str| name == prefix || name.starts_with(&format!("{prefix}."));
    if name.starts_with(".data..percpu") {
        return Some(PerCpu);
    }
    if name.starts_with(".data..ro_after_init") {
        return Some(RoAfterInit);
    }
    if name == ".data.once" || name.starts_with(".data.once.") {
        return Some(DataOnce);
    }
    let class = name.starts_with("__") && name.ends_with("_sched_class");
    let placed = name.starts_with(".vvar_") || class || name == ".kunit_test_suites";
    if name == ".ref.data" || under(".meminit.data") || under(".data") || placed {
        return Some(Data);
    }
    if name == ".builtin_fw" || name == ".tracedata" {
        return Some(Rodata);
    }
    if name == ".ref.rodata" || under(".meminit.rodata") {
        return Some(Rodata);
    }
    if under(".bss") {
        return Some(Bss);
    }
    let init = [
        ".init.",
        ".initcall",
        ".con_initcall",
        ".lsm_info.",
        ".early_lsm_info.",
    ];
    let probe = ["_of_table", "_acpi_probe_table", "_thermal_table"];
    let tables = [
        ".x86_intel_mid_dev.init",
        ".dtb.init.rodata",
        ".x86_cpu_dev.init",
        ".apicdrivers",
        ".iommu_table",
        "__earlycon_table",
    ];
    if init.iter().any(|p| name.starts_with(p))
        || tables.contains(&name)
        || (name.starts_with("__") && probe.iter().any(|p| name.ends_with(p)))
    {
        return Some(InitData);
    }
    if name == ".exit.data" || name.starts_with(".exitcall") {
        return Some(ExitData);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: u64 = 2;
    const AX: u64 = 6;

    #[test]
    fn function_sections_are_text() {
        for name in [
            ".text",
            ".text.f",
            ".text.unlikely.f.cold",
            ".sched.text",
            ".meminit.text",
        ] {
            assert_eq!(
                SectionKind::classify(name, AX),
                Some(SectionKind::Text),
                "{name}"
            );
        }
    }

    #[test]
    fn mergeable_rodata_is_told_from_plain() {
        assert_eq!(
            SectionKind::classify(".rodata.f.str1.1", A | 0x30),
            Some(SectionKind::MergeStrings)
        );
        assert_eq!(
            SectionKind::classify(".rodata.cst16", A | 0x10),
            Some(SectionKind::MergeConstants)
        );
        assert_eq!(
            SectionKind::classify(".rodata.v", A),
            Some(SectionKind::Rodata)
        );
    }

    #[test]
    fn an_unknown_loaded_section_is_not_guessed() {
        assert_eq!(SectionKind::classify(".mystery", A), None);
        assert_eq!(SectionKind::classify(".textual", AX), None);
        assert_eq!(SectionKind::classify(".database", A), None);
        assert_eq!(
            SectionKind::classify(".mystery", 0),
            Some(SectionKind::Unloaded)
        );
    }
}
