//! `Module.symvers`: which symbols the kernel exports.

use std::collections::HashMap;

/// The kernel core: no module of the kernel's own lies at the tree's root.
const CORE: &str = "resplice";

/// Exported symbols of a kernel build.
#[derive(Clone, Debug, Default)]
pub struct Symvers {
    exports: HashMap<String, Export>,
}

/// An export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// `vmlinux` or a module's path.
    pub object: String,
    /// The namespace a user has to import; empty for none.
    pub namespace: String,
}

/// A line that is not `CRC symbol object kind [namespace]`, tab-separated.
#[derive(Debug, thiserror::Error)]
#[error("Module.symvers line {line}: not an export: {text:?}")]
pub struct SymversError {
    /// From 1.
    pub line: usize,
    /// Its beginning.
    pub text: String,
}

impl Symvers {
    /// Parses the file's text.
    pub fn parse(text: &str) -> Result<Self, SymversError> {
        let mut exports = HashMap::new();
        for (index, line) in text.lines().enumerate() {
            let fields: Vec<&str> = line.split('\t').collect();
            let (Some(name), Some(object), true) = (
                fields.get(1),
                fields.get(2),
                (4..=5).contains(&fields.len()),
            ) else {
                return Err(SymversError {
                    line: index + 1,
                    text: line.chars().take(80).collect(),
                });
            };
            let export = Export {
                object: (*object).to_owned(),
                namespace: fields.get(4).copied().unwrap_or_default().to_owned(),
            };
            exports.insert((*name).to_owned(), export);
        }
        Ok(Self { exports })
    }

    /// With the exports of the kernel core, which every update links against:
    /// `text` is the `Module.symvers` of its build.
    pub fn with_core(mut self, text: &str) -> Result<Self, SymversError> {
        for (name, mut export) in Self::parse(text)?.exports {
            CORE.clone_into(&mut export.object);
            self.exports.entry(name).or_insert(export);
        }
        Ok(self)
    }

    /// An export by name.
    pub fn get(&self, name: &str) -> Option<&Export> {
        self.exports.get(name)
    }

    /// Whether any update may link against the symbol: vmlinux or the core
    /// exports it, outside any namespace.
    pub fn is_importable(&self, name: &str) -> bool {
        self.get(name).is_some_and(|e| {
            ["vmlinux", CORE].contains(&e.object.as_str()) && e.namespace.is_empty()
        })
    }

    /// Whether a module other than `object` exports the symbol, outside any
    /// namespace, and `object` refers to an export of that one already: then it
    /// is there whenever `object` is.
    pub fn is_of_needed<'s>(
        &self,
        name: &str,
        object: &str,
        mut refers: impl Iterator<Item = &'s str>,
    ) -> bool {
        self.get(name).is_some_and(|e| {
            let file = e.object.rsplit('/').next().unwrap_or_default();
            let is_module = !["vmlinux", CORE].contains(&e.object.as_str());
            let is_other = is_module && file.replace('-', "_") != object;
            let is_needed = |of: &str| self.get(of).is_some_and(|of| of.object == e.object);
            is_other && e.namespace.is_empty() && refers.any(is_needed)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_exports_of_vmlinux_without_namespace_are_importable() {
        let text = "0x1\tkfree\tvmlinux\tEXPORT_SYMBOL\t\n\
                    0x2\tnvme_wq\tdrivers/nvme/host/nvme-core\tEXPORT_SYMBOL_GPL\t\n\
                    0x3\tdma_buf_put\tvmlinux\tEXPORT_SYMBOL_GPL\tDMA_BUF\n";
        let symvers = Symvers::parse(text).unwrap();
        assert!(symvers.is_importable("kfree"));
        assert!(!symvers.is_importable("nvme_wq"));
        let needs = |name, object, refers: &[&str]| {
            symvers.is_of_needed(name, object, refers.iter().copied())
        };
        assert!(needs("nvme_wq", "nvme_tcp", &["kfree", "nvme_wq"]));
        assert!(!needs("nvme_wq", "nvme_tcp", &["kfree"]));
        assert!(!needs("nvme_wq", "nvme_core", &["nvme_wq"]));
        assert!(!needs("kfree", "nvme_tcp", &["kfree"]));
        assert!(!symvers.is_importable("dma_buf_put"));
        assert!(!symvers.is_importable("seg6_init"));
        assert!(!symvers.is_importable("resplice_shadow_get"));
        let core = "0x4\tresplice_shadow_get\t/build/resplice\tEXPORT_SYMBOL_GPL\t\n";
        let symvers = symvers.with_core(core).unwrap();
        assert!(symvers.is_importable("resplice_shadow_get"));
        assert!(!symvers.is_importable("nvme_wq"));
    }

    #[test]
    fn a_line_of_another_shape_is_refused() {
        assert_eq!(Symvers::parse("a\tb\tc\td\nx y z\n").unwrap_err().line, 2);
    }
}
