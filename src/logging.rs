//! temporary
/// temporary
pub fn init(_log: &crate::config::Log) {}
/// temporary
pub fn set_level(_level: crate::config::LogLevel) {}
