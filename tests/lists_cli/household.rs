//! A folder with a configuration, and the program run in it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A household that runs no daemon.
pub(crate) struct Household {
    folder: TempDir,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    /// What was printed, of a command that ended well.
    #[track_caller]
    pub(crate) fn fine(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// What was printed as JSON, of a command that ended with `code`.
    #[track_caller]
    pub(crate) fn json(self, code: i32) -> serde_json::Value {
        assert_eq!(self.code, code, "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Household {
    /// With `config` behind what every test needs: a state folder of its own and no other lists.
    pub(crate) fn new(config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let here = Self { folder };
        here.configure(config);
        here
    }

    /// Another configuration.
    pub(crate) fn configure(&self, config: &str) {
        let state = self.path("state");
        let base = format!("[lists]\nstarter = false\nfolder = {state:?}\n");
        self.write("hedgerow.toml", format!("{base}{config}"));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The files below `name`, sorted.
    pub(crate) fn files(&self, name: &str) -> Vec<String> {
        let mut files = Vec::new();
        let mut folders = vec![self.path(name)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let path = path.strip_prefix(self.folder.path()).unwrap();
                    files.push(path.display().to_string());
                }
            }
        }
        files.sort();
        files
    }

    /// `hedgerow lists …` with this household's configuration.
    pub(crate) fn lists(&self, line: &str) -> Done {
        let line = format!(
            "lists {line} --config {}",
            self.path("hedgerow.toml").display()
        );
        self.run(&line, "")
    }

    /// `hedgerow …` in this folder, with `input` to read.
    pub(crate) fn run(&self, line: &str, input: &str) -> Done {
        run_in(self.folder.path(), line, input)
    }
}

fn run_in(folder: &Path, line: &str, input: &str) -> Done {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hedgerow"))
        .args(line.split_whitespace())
        .current_dir(folder)
        .env("HEDGEROW_SOCKET", folder.join("no.sock"))
        .env("TMPDIR", folder)
        .env_remove("STATE_DIRECTORY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Whoever does not read its input may close it first.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    Done {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
