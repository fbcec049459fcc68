//! Why an index cannot be written or opened.

use std::io;
use std::path::PathBuf;

use crate::files::FileError;
use crate::name::Name;

/// Why there is no index to search.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It can be read, and is not an index that can be searched.
    #[error("{}: {fault}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        fault: IndexFault,
    },
    /// The bytes are not an index that can be searched.
    #[error(transparent)]
    Bytes(#[from] IndexFault),
}

/// What is wrong with the bytes of an index.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexFault {
    /// They cannot be read to their end.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// They begin with something else.
    #[error("not an index of Hedgerow")]
    Magic,
    /// Another version of the format.
    #[error("version {found}; this program reads version {expected}")]
    Version {
        /// Of the file.
        found: u32,
        /// Of this program.
        expected: u32,
    },
    /// The length is not the one the header tells.
    #[error("cut off: {found} of {expected} bytes")]
    CutOff {
        /// Octets there are.
        found: u64,
        /// Octets there should be.
        expected: u64,
    },
    /// More octets than the header tells.
    #[error("{found} bytes follow the end")]
    TooLong {
        /// How many.
        found: u64,
    },
    /// An octet changed.
    #[error("damaged: its checksum is {computed:016x}, not {stored:016x}")]
    Checksum {
        /// As the header says.
        stored: u64,
        /// Of the bytes there are.
        computed: u64,
    },
    /// The checksum is right and a part that stands beside the names makes no sense.
    #[error("malformed {part}: {what}")]
    Section {
        /// Which.
        part: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// The checksum is right and what it covers makes no sense.
    #[error("malformed: {0}")]
    Malformed(&'static str),
}

/// Why an index cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A working file cannot be made.
    #[error(transparent)]
    File(#[from] FileError),
    /// A working file cannot be written or read.
    #[error("working file: {0}")]
    Scratch(#[source] io::Error),
    /// The index itself cannot be written.
    #[error("index: {0}")]
    Output(#[source] io::Error),
    /// A section that somebody else writes cannot be read.
    #[error("the {part}: {source}")]
    Section {
        /// Which.
        part: &'static str,
        /// Why; also that it is not as long as was said.
        source: io::Error,
    },
    /// A name that is not above all before it; [`crate::lists::canonical_order`] is the order.
    #[error("`{name}` comes after `{before}`")]
    Order {
        /// The name before.
        before: Name,
        /// This one.
        name: Name,
    },
    /// A name with an octet that no name of a list has.
    #[error("`{0}` has an octet that no name of a list has")]
    Alphabet(Name),
    /// A name without postings, or with more than 65,535.
    #[error("`{name}` with {count} postings")]
    Postings {
        /// The name.
        name: Name,
        /// How many.
        count: usize,
    },
    /// Postings that name a list that is not there.
    #[error("a posting of list {list} of {count}")]
    List {
        /// The list.
        list: u16,
        /// How many lists there are.
        count: usize,
    },
    /// More than 65,535 lists.
    #[error("{0} lists; 65,535 is the most")]
    TooManyLists(usize),
    /// A part that 32 bits cannot address.
    #[error("the {0} are larger than 4 GiB")]
    TooLarge(&'static str),
}
