//! Verbs that need the program itself and no daemon: `serve`, `check`, `schema`, `completions`, and
//! the one by which a daemon has its lists compiled.

use std::io::{self, Write};
use std::path::Path;

use super::output::{Style, counted, plain};
use super::{
    Backend, CheckArguments, Exit, Failure, Output, ServeArguments, ServeOptions, command,
};

/// `hedgerow serve`.
pub(super) fn serve(
    arguments: ServeArguments,
    socket: Option<&Path>,
    backend: &dyn Backend,
) -> Result<(), Failure> {
    let options = ServeOptions {
        config: arguments.config,
        listen: arguments.listen,
        demo: arguments.demo,
        socket: socket.map(Path::to_owned),
        state: arguments.state,
    };
    Ok(backend.serve(&options)?)
}

/// `hedgerow check`.
pub(super) fn check(
    arguments: &CheckArguments,
    backend: &dyn Backend,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let report = backend.check(arguments.config.as_deref())?;
    if arguments.format.json {
        output.json(&report)?;
    } else {
        for found in &report.diagnostics {
            output.complain_as_written(&found.text);
            output.complain_as_written("");
        }
        let count = |severity: &str| {
            let matching = report.diagnostics.iter().filter(|d| d.severity == severity);
            matching.count() as u64
        };
        let found = [
            counted(count("error"), "error", "errors"),
            counted(count("warning"), "warning", "warnings"),
        ];
        let config = plain(&report.config);
        if report.ok {
            let fine = output.paint(Style::Good, "fine");
            output.line(&format!("{config}: {fine}, {}", found[1]))?;
            if !report.summary.is_empty() {
                output.line(&plain(&report.summary))?;
            }
        } else {
            let bad = output.paint(Style::Bad, "bad");
            output.line(&format!("{config}: {bad}, {}, {}", found[0], found[1]))?;
        }
    }
    if report.ok {
        Ok(())
    } else {
        Err(Failure::Said(Exit::BadConfig))
    }
}

/// `hedgerow schema`.
pub(super) fn schema(backend: &dyn Backend, output: &mut Output<'_>) -> Result<(), Failure> {
    let schema = backend.schema()?;
    writeln!(output.out, "{}", schema.trim_end())?;
    Ok(())
}

/// `hedgerow completions`.
pub(super) fn completions(
    shell: clap_complete::Shell,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    // The generator panics when it cannot write, as into a closed pipe: let it write to memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "hedgerow", &mut script);
    Ok(io::copy(&mut script.as_slice(), &mut output.out).map(|_| ())?)
}

/// What a daemon starts us for.
pub(super) fn compile_for_daemon(output: &mut Output<'_>) -> Result<(), Failure> {
    let input = io::stdin().lock();
    Ok(crate::reload::compile_for_daemon(input, &mut output.out)?)
}
