//! What the debug information of one unit says, as plain data.

use std::collections::HashMap;

/// Index into [`Model::types`].
pub(super) type TypeId = usize;
/// Index into [`Model::functions`].
pub(super) type FunctionId = usize;
/// Typedefs and qualifiers upon each other; more is nonsense.
const MAX_CHAIN: usize = 64;

/// One unit's types, functions and variables. Names are borrowed from the
/// debug sections.
#[derive(Debug, Default)]
pub(super) struct Model<'d> {
    /// The source file, as the compiler was given it.
    pub source: String,
    pub types: Vec<Type<'d>>,
    pub functions: Vec<Function<'d>>,
    pub variables: Vec<Variable<'d>>,
}

/// A line of a source file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub file: std::rc::Rc<str>,
    pub line: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type<'d> {
    /// `void`, and what has no representation.
    Void,
    /// A number.
    Base {
        name: &'d str,
        size: u64,
        /// DW_ATE_*.
        encoding: u8,
    },
    Pointer {
        to: Option<TypeId>,
    },
    Aggregate(Aggregate<'d>),
    Enum(Enum<'d>),
    Array {
        of: Option<TypeId>,
        /// Elements by dimension; `None` if it has no length.
        counts: Vec<Option<u64>>,
    },
    /// A typedef.
    Alias {
        name: &'d str,
        to: Option<TypeId>,
    },
    /// `const`, `volatile` and the like: no change of representation.
    Qualified {
        word: &'static str,
        to: Option<TypeId>,
    },
    Function(Signature),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Signature {
    pub returns: Option<TypeId>,
    pub parameters: Vec<Option<TypeId>>,
    pub is_variadic: bool,
}

/// A struct or union.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Aggregate<'d> {
    pub name: Option<&'d str>,
    pub is_union: bool,
    /// Only its name is known here.
    pub is_declaration: bool,
    pub size: u64,
    pub members: Vec<Member<'d>>,
    pub position: Position,
}

impl Aggregate<'_> {
    pub fn keyword(&self) -> &'static str {
        if self.is_union { "union" } else { "struct" }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member<'d> {
    pub name: Option<&'d str>,
    pub of: Option<TypeId>,
    /// From the aggregate's start.
    pub bit_offset: u64,
    /// Of a bit field.
    pub bits: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Enum<'d> {
    pub name: Option<&'d str>,
    pub size: u64,
    pub is_declaration: bool,
    pub constants: Vec<(&'d str, i128)>,
    pub position: Position,
}

#[derive(Debug, Default)]
pub(super) struct Function<'d> {
    pub name: Option<&'d str>,
    /// The symbol of its code, if it has code of its own.
    pub symbol: Option<String>,
    pub position: Position,
    pub is_external: bool,
    pub is_declaration: bool,
    pub signature: Signature,
    /// Types of its variables and of what is inlined into it.
    pub uses: Vec<TypeId>,
    /// What is inlined into it, at any depth.
    pub inlined: Vec<FunctionId>,
    /// The abstract instance or declaration that says the rest.
    pub origin: Option<FunctionId>,
}

#[derive(Debug)]
pub(super) struct Variable<'d> {
    pub name: &'d str,
    pub of: Option<TypeId>,
    /// The function that a static local belongs to.
    pub scope: Option<FunctionId>,
    pub symbol: Option<String>,
    pub position: Position,
    pub is_external: bool,
}

impl<'d> Model<'d> {
    /// Follows typedefs and qualifiers.
    pub fn strip(&self, id: Option<TypeId>) -> Option<TypeId> {
        let mut id = id?;
        for _ in 0..MAX_CHAIN {
            match &self.types[id] {
                Type::Alias { to, .. } | Type::Qualified { to, .. } => id = (*to)?,
                Type::Void => return None,
                _ => return Some(id),
            }
        }
        None
    }

    /// The type behind typedefs and qualifiers.
    pub fn resolved(&self, id: Option<TypeId>) -> &Type<'d> {
        self.strip(id).map_or(&Type::Void, |id| &self.types[id])
    }

    /// Bytes of a type; `None` if it has no size or a nonsensical one.
    pub fn size_of(&self, id: Option<TypeId>) -> Option<u64> {
        self.size_within(id, 64)
    }

    fn size_within(&self, id: Option<TypeId>, depth: u32) -> Option<u64> {
        match self.resolved(id) {
            Type::Base { size, .. } => Some(*size),
            Type::Pointer { .. } => Some(8),
            Type::Aggregate(aggregate) if !aggregate.is_declaration => Some(aggregate.size),
            Type::Enum(of) if !of.is_declaration => Some(of.size),
            Type::Array { of, counts } => {
                let one = self.size_within(*of, depth.checked_sub(1)?)?;
                counts
                    .iter()
                    .try_fold(one, |all, count| all.checked_mul(count.unwrap_or(0)))
            }
            _ => None,
        }
    }

    /// How C spells a type, for readers.
    pub fn spell(&self, id: Option<TypeId>) -> String {
        self.spell_within(id, 16)
    }

    fn spell_within(&self, id: Option<TypeId>, depth: u32) -> String {
        let (Some(at), Some(next)) = (id, depth.checked_sub(1)) else {
            return "void".to_owned();
        };
        match &self.types[at] {
            Type::Void => "void".to_owned(),
            Type::Base { name, .. } | Type::Alias { name, .. } => (*name).to_owned(),
            Type::Pointer { to } => match self.strip(*to).map(|id| &self.types[id]) {
                Some(Type::Function(signature)) => {
                    let list = self.spell_parameters(signature, next);
                    format!("{} (*)({list})", self.spell_within(signature.returns, next))
                }
                _ => {
                    let to = self.spell_within(*to, next);
                    let gap = if to.ends_with('*') { "" } else { " " };
                    format!("{to}{gap}*")
                }
            },
            Type::Aggregate(aggregate) => {
                let name = aggregate.name.unwrap_or("{...}");
                format!("{} {name}", aggregate.keyword())
            }
            Type::Enum(of) => format!("enum {}", of.name.unwrap_or("{...}")),
            Type::Array { of, counts } => {
                let mut text = self.spell_within(*of, next);
                for count in counts {
                    let count = count.map_or(String::new(), |count| count.to_string());
                    text.push_str(&format!("[{count}]"));
                }
                text
            }
            Type::Qualified { word, to } => {
                let inner = self.spell_within(*to, next);
                // An array of constants is constant itself.
                if inner.starts_with(word) {
                    return inner;
                }
                match inner.ends_with('*') {
                    true => format!("{inner}{word}"),
                    false => format!("{word} {inner}"),
                }
            }
            Type::Function(signature) => {
                let list = self.spell_parameters(signature, next);
                format!("{} ({list})", self.spell_within(signature.returns, next))
            }
        }
    }

    fn spell_parameters(&self, signature: &Signature, depth: u32) -> String {
        let mut list: Vec<String> = signature
            .parameters
            .iter()
            .map(|id| self.spell_within(*id, depth))
            .collect();
        if signature.is_variadic {
            list.push("...".to_owned());
        } else if list.is_empty() {
            list.push("void".to_owned());
        }
        list.join(", ")
    }

    /// How C spells a function, for readers.
    pub fn spell_function(&self, name: &str, signature: &Signature) -> String {
        let returns = self.spell(signature.returns);
        let gap = if returns.ends_with('*') { "" } else { " " };
        let list = self.spell_parameters(signature, 16);
        format!("{returns}{gap}{name}({list})")
    }

    /// A function with what its abstract instance says.
    pub fn told(&self, id: FunctionId) -> &Function<'d> {
        let mut at = id;
        for _ in 0..8 {
            let function = &self.functions[at];
            match function.origin {
                Some(origin) if function.name.is_none() => at = origin,
                _ => break,
            }
        }
        &self.functions[at]
    }

    /// The name of a function, also of an instance.
    pub fn function_name(&self, id: FunctionId) -> Option<&'d str> {
        self.told(id).name
    }

    /// Functions that have code, by symbol.
    pub fn by_symbol(&self) -> HashMap<&str, FunctionId> {
        let code = self.functions.iter().enumerate();
        code.filter_map(|(id, function)| Some((function.symbol.as_deref()?, id)))
            .collect()
    }

    /// Complete structs and unions with a name, also one by typedef.
    pub fn aggregates(&self) -> impl Iterator<Item = (TypeId, &Aggregate<'d>)> {
        self.types
            .iter()
            .enumerate()
            .filter_map(|(id, of)| match of {
                Type::Aggregate(aggregate) if !aggregate.is_declaration => Some((id, aggregate)),
                _ => None,
            })
    }
}
