//! Giving back what only starting needed: code, constants, and memory that was freed.
//!
//! A daemon reads most of its program once, to read its configuration and open its lists, and then
//! answers out of a small part of it. The rest stays in its resident memory, on a router a good part
//! of what is free, until the kernel is in need. Here it is told so.

#![allow(unsafe_code, reason = "pages are given back to the kernel")]

use std::ffi::c_void;
use std::ops::Range;

use rustix::mm::{Advice, madvise};

use crate::files::Files;

/// What the kernel tells of our mappings, with how much of each is not in a file.
const MAPPINGS: &str = "/proc/self/smaps";
/// The most octets of that; a mapping takes some 700, and there are a hundred.
const MOST_TEXT: u64 = 1 << 20;

/// One of this program's constants: where it stands, the others do.
static CONSTANT: [u8; 16] = *b"a constant of it";

/// Gives back whatever can be: [`let_go_of_code`], and memory that was freed.
pub fn let_go() {
    let_go_of_freed();
    let_go_of_code();
}

/// Gives back memory that was freed and that the C library keeps for what comes: of what reading a
/// configuration took, each thread that did a part of it keeps some. Others wait while their memory is
/// looked through, well below a millisecond.
fn let_go_of_freed() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call takes a number of octets to leave at the end of the heap, and may be made by any
    // thread at any time.
    let _was_there_any = unsafe { nix::libc::malloc_trim(0) };
}

/// Lets go of the code of this program and its libraries, and of this program's constants, where nobody
/// has written to them. What is needed again is taken from the kernel's cache, or the disk. Gives the
/// octets that were mapped, 0 where the kernel does not tell.
pub fn let_go_of_code() -> usize {
    let constant = std::hint::black_box(&CONSTANT).as_ptr().addr();
    let text = Files::disk().read(MAPPINGS.as_ref(), MOST_TEXT);
    let text = text.unwrap_or_default();
    let mut octets = 0;
    for range in unwritten(&String::from_utf8_lossy(&text), constant) {
        let begin = std::ptr::without_provenance_mut::<c_void>(range.start);
        // SAFETY: the pages of this range are those of a file, mapped for us alone, that we may
        // not write, and none of them is a copy, in memory or in swap: not one was written to by whoever
        // may (a loader, a debugger). So they are the same when they are read in again, which the kernel
        // does at the next access, also of the code that runs here. Where the mapping is gone meanwhile
        // the call fails and does nothing; code is unmapped only by `dlclose`, which nobody calls here.
        // What we may execute is written to by nobody later, and what holds this program's constants was
        // mapped and, if it had to be, relocated before its first instruction.
        if unsafe { madvise(begin, range.len(), Advice::LinuxDontNeed) }.is_ok() {
            octets += range.len();
        }
    }
    octets
}

/// Where the mappings stand that hold code of files as it is there, and the one with `constant` in it.
/// What else is not code may be a library's, which a loader may relocate at any time of a program's life.
fn unwritten(smaps: &str, constant: usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut unwritten = None;
    for line in smaps.lines() {
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next()) {
            // Together they say that nothing in it is a copy, in memory or swapped out.
            (Some("Anonymous:" | "Private_Hugetlb:"), Some(octets)) if octets != "0" => {
                unwritten = None
            }
            (Some("Swap:"), Some("0")) => found.extend(unwritten.take()),
            (Some(field), _) if field.ends_with(':') => {}
            (Some(range), Some(access @ ("r-xp" | "r--p"))) => {
                let path = words.nth(3);
                let is_file = path.is_some_and(|path| path.starts_with('/'));
                let range = range_of(range).filter(|_| is_file);
                unwritten = range.filter(|it| access == "r-xp" || it.contains(&constant));
            }
            _ => unwritten = None,
        }
    }
    found
}

/// `55d0c0de1000-55d0c0de2000`.
fn range_of(text: &str) -> Option<Range<usize>> {
    let (begin, end) = text.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    let range = number(begin)?..number(end)?;
    (!range.is_empty()).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_wrote_to_is_given_back() {
        let smaps = "\
1000-3000 r--p 00000000 fe:00 77 /usr/bin/hedgerow\n\
Rss: 8 kB\nAnonymous: 0 kB\nSwap: 0 kB\nVmFlags: rd mr\n\
3000-9000 r-xp 00002000 fe:00 77 /usr/bin/hedgerow\n\
Rss: 24 kB\nAnonymous: 0 kB\nSwap: 0 kB\nVmFlags: rd ex mr\n\
9000-a000 r--p 00008000 fe:00 77 /usr/bin/hedgerow\n\
Rss: 4 kB\nAnonymous: 4 kB\nSwap: 0 kB\nVmFlags: rd mr\n\
e000-f000 r--s 00008000 fe:00 80 /var/lib/hedgerow/lists.index\n\
Rss: 4 kB\nAnonymous: 0 kB\nSwap: 0 kB\nVmFlags: rd mr\n\
a000-b000 r-xp 00002000 fe:00 78 /usr/lib/written.so\n\
Rss: 4 kB\nAnonymous: 4 kB\nSwap: 0 kB\nVmFlags: rd ex mr\n\
a000-b000 r-xp 00002000 fe:00 78 /usr/lib/written-and-swapped.so\n\
Rss: 4 kB\nAnonymous: 0 kB\nSwap: 4 kB\nVmFlags: rd ex mr\n\
b000-c000 rw-p 00002000 fe:00 77 /usr/bin/hedgerow\n\
Rss: 4 kB\nAnonymous: 0 kB\nSwap: 0 kB\n\
c000-d000 r-xp 00000000 00:00 0 [vdso]\n\
Rss: 4 kB\nAnonymous: 0 kB\nSwap: 0 kB\n\
d000-f000 r-xp 00000000 fe:00 79 /usr/lib/libc.so.6 (deleted)\n\
Rss: 4 kB\nAnonymous: 0 kB\nSwap: 0 kB\n\
f000-e000 r-xp 00000000 fe:00 79 /usr/lib/odd.so\n\
Rss: 4 kB\nAnonymous: 0 kB\nSwap: 0 kB\n";
        let code = [0x3000..0x9000, 0xd000..0xf000];
        assert_eq!(unwritten(smaps, 0x100), code);
        let constants = [0x1000..0x3000, 0x3000..0x9000, 0xd000..0xf000];
        assert_eq!(unwritten(smaps, 0x1fff), constants);
        // Relocated, or shared.
        assert_eq!(unwritten(smaps, 0x9000), code);
        assert_eq!(unwritten(smaps, 0xe000), code);
        assert_eq!(unwritten("no such thing\n\n-\nr-xp r-xp\n", 0), []);
    }

    #[test]
    fn what_runs_goes_on_running() {
        // This very code is let go of, by several at once, and what it reads.
        let threads = [(); 4].map(|()| {
            std::thread::spawn(|| {
                let text = vec![b'x'; 100_000];
                drop(std::hint::black_box(text));
                let_go();
                let_go_of_code()
            })
        });
        for thread in threads {
            assert!(thread.join().unwrap() > 0);
        }
        assert_eq!(std::hint::black_box(&CONSTANT), b"a constant of it");
        assert_eq!(range_of("55d0c0de1000-55d0c0de2000").unwrap().len(), 4096);
    }
}
