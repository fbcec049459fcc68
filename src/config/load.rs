//! From files to a [`Config`] or to what is wrong with them.
//!
//! The main file is read first, then `conf.d/*.toml` beside it, then `profiles/*.toml`, each folder
//! in the order of names, and at last the file of devices that the program writes itself
//! ([`super::devices_file`]). A single setting counts as the last file says it; devices, lists,
//! profiles and rules add up.

use std::path::{Path, PathBuf};

use super::devices_file::{self, DevicesRead, GivenDevices};
use super::diagnostic::{Diagnostic, Place};
use super::endpoint::{DNS_PORT, parse_socket};
use super::problems::Problems;
use super::read::{FileKind, Written, read_file};
use super::resolve::{Around, resolve};
use super::{Config, ListSource, Listen, presets};
use crate::clock::Timestamp;
use crate::files::{FileError, Files};

/// The main file unless `--config` names another.
pub const DEFAULT_PATH: &str = "/etc/hedgerow/hedgerow.toml";

/// The largest configuration file that is read, in bytes.
pub const MAX_FILE: u64 = 4 << 20;

/// What came of reading a configuration.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration, unless a diagnostic is an error.
    pub config: Option<Config>,
    /// All that is wrong, in the order it was found.
    pub diagnostics: Vec<Diagnostic>,
    /// What the devices file said; none for a configuration without one.
    pub devices: Option<DevicesRead>,
    /// Folders in which a change can change the configuration or a list it names, sorted.
    pub watched: Vec<PathBuf>,
}

/// What the command line says over the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Addresses in place of all those in the files; empty changes nothing.
    pub listen: Vec<Listen>,
    /// Another control socket.
    pub socket: Option<PathBuf>,
    /// Another folder for what must survive a restart.
    pub state: Option<PathBuf>,
    /// The folder for it when neither the files nor the command line name one, as systemd says it.
    pub usual_state: Option<PathBuf>,
    /// What is read in place of the devices file.
    pub devices: Option<GivenDevices>,
    /// The time, which birth dates need; without it that of the program's release.
    pub now: Option<Timestamp>,
}

/// Reads an address to listen on, as `--listen` takes it: `127.0.0.1:5335`, port 53 unless said.
///
/// # Errors
/// Why it is none, in words.
pub fn parse_listen(text: &str) -> Result<Listen, String> {
    let address = parse_socket(text, DNS_PORT).map_err(|error| error.to_string())?;
    Ok(Listen {
        address,
        name: None,
    })
}

/// Reads the configuration whose main file is `main`, which must be there.
pub fn load(files: &Files, main: &Path) -> Loaded {
    load_with(files, main, &Overrides::default())
}

/// [`load`] with what the command line says.
pub fn load_with(files: &Files, main: &Path, overrides: &Overrides) -> Loaded {
    on_deep_stack(|| {
        let folder = folder_of(main);
        let mut load = Load::new(files, overrides, &folder);
        load.main(main);
        load.folders();
        load.devices();
        load.finish()
    })
}

/// Reads the configuration at [`DEFAULT_PATH`]; without a file there the defaults hold.
pub fn load_default(files: &Files, overrides: &Overrides) -> Loaded {
    on_deep_stack(|| {
        let main = Path::new(DEFAULT_PATH);
        let folder = folder_of(main);
        let mut load = Load::new(files, overrides, &folder);
        if files.open(main).is_err_and(|error| error.is_missing()) {
            load.watched.push(folder.clone());
        } else {
            load.main(main);
        }
        load.folders();
        load.devices();
        load.finish()
    })
}

/// Reads a configuration that came with the program, such as [`presets::DEMO`]. Its relative paths
/// start from the working directory.
pub fn load_embedded(text: &str, files: &Files, overrides: &Overrides) -> Loaded {
    on_deep_stack(|| {
        let mut load = Load::new(files, overrides, Path::new(""));
        load.text(Path::new("built-in"), text.to_owned(), FileKind::Main);
        load.finish()
    })
}

/// Runs `work` where there is room for a file that is nested as deeply as the parser allows.
///
/// It allows 80 tables within tables, each opened by a key of 80 words: some 6400 levels, which
/// are walked and freed by recursion. That took between 16 and 32 MiB of stack in a debug build;
/// what is not used is never more than an address.
fn on_deep_stack(work: impl FnOnce() -> Loaded + Send) -> Loaded {
    const STACK: usize = 64 << 20;
    let failed = |why: String| Loaded {
        config: None,
        diagnostics: vec![Diagnostic::error("unreadable", why)],
        devices: None,
        watched: Vec::new(),
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        match thread.spawn_scoped(scope, work) {
            Ok(thread) => thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(error) => failed(format!("no thread to read the configuration in: {error}")),
        }
    })
}

/// What `load` reads, to begin with.
///
/// A home without DNS at two in the morning is worse than one whose newest device is a guest: where
/// nothing but the devices file is wrong, its last good copy takes its place, and of that what is
/// right. All of it is told as warnings. A running daemon keeps what it has instead.
pub fn load_to_start(
    files: &Files,
    overrides: &Overrides,
    load: impl Fn(&Overrides) -> Loaded,
) -> Loaded {
    devices_file::load_to_start(files, overrides, load)
}

impl Config {
    /// The configuration of a home that has written none.
    pub fn default_home() -> Self {
        let files = Files::from_system(crate::files::MemoryFiles::new());
        load_embedded("", &files, &Overrides::default())
            .config
            .expect("the presets that came with the program are valid; a test loads them")
    }
}

/// Reads any bytes as a configuration, for fuzzing: whatever they are, it must come back.
pub fn fuzz_entry(data: &[u8]) -> Loaded {
    let memory = crate::files::MemoryFiles::new();
    let main = Path::new("/etc/hedgerow/hedgerow.toml");
    memory.put(main, data);
    let loaded = load(&memory.files(), main);
    for diagnostic in &loaded.diagnostics {
        drop(diagnostic.coloured().to_string());
    }
    loaded
}

/// The folder a file is in; empty for one in the working directory.
fn folder_of(file: &Path) -> PathBuf {
    file.parent().map(Path::to_path_buf).unwrap_or_default()
}

/// A configuration while it is read.
struct Load<'a> {
    around: Around<'a>,
    written: Written,
    problems: Problems,
    watched: Vec<PathBuf>,
    devices: Option<DevicesRead>,
}

impl<'a> Load<'a> {
    fn new(files: &'a Files, overrides: &'a Overrides, folder: &'a Path) -> Self {
        Self {
            around: Around {
                files,
                folder,
                overrides,
                devices_file: None,
            },
            written: Written::default(),
            problems: Problems::default(),
            watched: Vec::new(),
            devices: None,
        }
    }

    fn main(&mut self, path: &Path) {
        self.watched.push(self.around.folder.to_path_buf());
        // A link is replaced where it points to.
        if let Some(target) = self.around.files.target(path) {
            self.watched.push(folder_of(&target));
        }
        self.file(path, FileKind::Main);
    }

    /// Reads what stands beside the main file.
    fn folders(&mut self) {
        for (name, kind) in [("conf.d", FileKind::Main), ("profiles", FileKind::Profiles)] {
            let folder = self.around.folder.join(name);
            let entries = match self.around.files.list(&folder) {
                Ok(entries) => entries,
                Err(error) if error.is_missing() => continue,
                Err(error) => {
                    self.unreadable(&folder, &error);
                    continue;
                }
            };
            self.watched.push(folder);
            for path in entries {
                let hidden = path
                    .file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with(['.', '#']));
                if path.extension().is_some_and(|end| end == "toml") && !hidden {
                    self.file(&path, kind);
                }
            }
        }
    }

    /// Reads the devices file, or what was given in its place.
    fn devices(&mut self) {
        let path = devices_file::path(&self.written, &self.around, &mut self.problems);
        self.watched.push(folder_of(&path));
        self.around.devices_file = Some(path.clone());
        let mut read = DevicesRead {
            path: path.clone(),
            ..DevicesRead::default()
        };
        let (told, others) = (self.problems.count(), self.written.devices.len());
        match &self.around.overrides.devices {
            Some(given) => {
                read.shown_as.clone_from(&given.shown_as);
                self.bytes(&given.shown_as, given.text.as_bytes(), FileKind::Devices);
                given.leave_out(&mut self.written.devices, others);
            }
            None => {
                read.shown_as.clone_from(&path);
                match self.around.files.read(&path, MAX_FILE) {
                    Ok(bytes) => {
                        self.bytes(&path, &bytes, FileKind::Devices);
                        read.text = Some(bytes);
                    }
                    Err(error) if error.is_missing() => {}
                    Err(error) => self.unreadable(&path, &error),
                }
            }
        }
        read.is_broken = self.problems.any_error_from(told);
        let lines = self.written.devices[others..].iter();
        read.lines = lines
            .map(|entry| self.problems.sources.line(entry.span.start) as u32 + 1)
            .collect();
        self.devices = Some(read);
    }

    fn file(&mut self, path: &Path, kind: FileKind) {
        match self.around.files.read(path, MAX_FILE) {
            Ok(bytes) => self.bytes(path, &bytes, kind),
            Err(error) => self.unreadable(path, &error),
        }
    }

    fn bytes(&mut self, path: &Path, bytes: &[u8], kind: FileKind) {
        // Editors on some systems put a byte order mark in front.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        match std::str::from_utf8(bytes) {
            Ok(text) => self.text(path, text.to_owned(), kind),
            Err(error) => self.not_text(path, bytes, error.valid_up_to()),
        }
    }

    fn text(&mut self, path: &Path, text: String, kind: FileKind) {
        // Such a file is no TOML in any line; one message says more than one for each.
        if let Some(at) = text.bytes().position(|byte| byte == 0) {
            return self.not_text(path, text.as_bytes(), at);
        }
        let base = self.problems.sources.add(path, text);
        read_file(base, kind, &mut self.written, &mut self.problems);
    }

    fn unreadable(&mut self, path: &Path, error: &FileError) {
        self.problems.incomplete = true;
        self.problems.report(Diagnostic::error(
            "unreadable",
            format!("{} `{}`: {}", error.doing, path.display(), error.source),
        ));
    }

    /// Tells that the byte at `at` makes the file something other than a text.
    fn not_text(&mut self, path: &Path, bytes: &[u8], at: usize) {
        self.problems.incomplete = true;
        let byte = bytes.get(at).copied().unwrap_or_default();
        let start = bytes[..at]
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |nl| nl + 1);
        let place = Place {
            file: path.to_path_buf(),
            line: bytes[..start].iter().filter(|b| **b == b'\n').count() as u32 + 1,
            column: String::from_utf8_lossy(&bytes[start..at]).chars().count() as u32 + 1,
            ..Place::default()
        };
        let what = if byte == 0 { "not a text" } else { "not UTF-8" };
        let mut diagnostic = Diagnostic::error("not-text", format!("the file is {what}"))
            .note(format!("byte {at} of it is 0x{byte:02x}"));
        diagnostic.place = Some(Place {
            end_column: place.column + 1,
            ..place
        });
        self.problems.report(diagnostic);
    }

    fn finish(mut self) -> Loaded {
        let told = self.problems.count();
        let config = resolve(&self.written, &self.around, &mut self.problems);
        self.problems.sort_from(told);
        for list in config.iter().flat_map(|config| &config.lists) {
            if let (ListSource::File(path), None) = (&list.source, &list.download) {
                self.watched.push(folder_of(path));
            }
        }
        for folder in &mut self.watched {
            if folder.as_os_str().is_empty() {
                *folder = PathBuf::from(".");
            }
        }
        self.watched.sort();
        self.watched.dedup();
        Loaded {
            config,
            diagnostics: self.problems.finish(),
            devices: self.devices,
            watched: self.watched,
        }
    }
}

/// The demonstration: a family on loopback.
pub fn load_demo(files: &Files, overrides: &Overrides) -> Loaded {
    load_embedded(presets::DEMO, files, overrides)
}
