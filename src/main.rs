//! Parses arguments and turns a result into an exit code; everything else is in the library.

use std::path::Path;
use std::process::ExitCode;

use hedgerow::cli::{Backend, BackendError, CheckReport, ServeOptions, run};
use hedgerow::control::ExplainRequest;
use hedgerow::control::api::{ErrorBody, Explanation};

fn main() -> ExitCode {
    run(std::env::args_os(), &Program)
}

/// This program. Each method joins one verb to the module that does it.
struct Program;

impl Backend for Program {
    fn serve(&self, _options: &ServeOptions) -> Result<(), BackendError> {
        Err(not_joined("serve"))
    }

    fn check(&self, _config: Option<&Path>) -> Result<CheckReport, BackendError> {
        Err(not_joined("check"))
    }

    fn explain(
        &self,
        _config: Option<&Path>,
        _request: &ExplainRequest,
    ) -> Result<Explanation, BackendError> {
        Err(not_joined("explain"))
    }

    fn schema(&self) -> Result<String, BackendError> {
        Err(not_joined("schema"))
    }
}

/// Until the module behind `verb` is part of this tree.
fn not_joined(verb: &str) -> BackendError {
    BackendError::Failed(ErrorBody::new(
        format!("`{verb}` is not part of this build"),
        "",
    ))
}
