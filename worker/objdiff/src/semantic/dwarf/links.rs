//! From the offsets of entries to the ids of a model.

use std::collections::HashMap;

use crate::semantic::error::SemanticError;
use crate::semantic::model::{FunctionId, Signature, Type, TypeId};

pub(super) struct Links<'r> {
    pub types: &'r HashMap<usize, TypeId>,
    pub functions: &'r HashMap<usize, FunctionId>,
}

impl Links<'_> {
    pub fn one(&self, offset: usize) -> Result<TypeId, SemanticError> {
        self.types
            .get(&offset)
            .copied()
            .ok_or_else(|| dangling(offset))
    }

    pub fn maybe(&self, id: &mut Option<TypeId>) -> Result<(), SemanticError> {
        if let Some(offset) = id {
            *offset = self.one(*offset)?;
        }
        Ok(())
    }

    pub fn signature(&self, signature: &mut Signature) -> Result<(), SemanticError> {
        self.maybe(&mut signature.returns)?;
        signature
            .parameters
            .iter_mut()
            .try_for_each(|id| self.maybe(id))
    }

    pub fn of_type(&self, of: &mut Type<'_>) -> Result<(), SemanticError> {
        match of {
            Type::Void | Type::Base { .. } | Type::Enum(_) => Ok(()),
            Type::Pointer { to } | Type::Alias { to, .. } | Type::Qualified { to, .. } => {
                self.maybe(to)
            }
            Type::Array { of, .. } => self.maybe(of),
            Type::Function(signature) => self.signature(signature),
            Type::Aggregate(aggregate) => aggregate
                .members
                .iter_mut()
                .try_for_each(|member| self.maybe(&mut member.of)),
        }
    }
}

pub(super) fn dangling(offset: usize) -> SemanticError {
    SemanticError::Malformed(format!(
        "a reference to {offset:#x}, where nothing fitting is"
    ))
}
