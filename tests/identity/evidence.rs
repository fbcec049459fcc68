//! What is missing is said, and the rest works.

use std::process::Command;

use crate::skip::skip;
use crate::street::{NOT_YET, Street, Who, is_possible, wait_for};

const V4: &str = "10.77.0.1:53";

#[test]
fn switched_off_and_on_again_it_follows_the_configuration() {
    if !is_possible() {
        return;
    }
    let off = "[identity]\nneighbours = false\n";
    let street = Street::new(off);
    let Street {
        tablet,
        laptop,
        router,
    } = &street;
    assert!(router.neighbour_table().contains("neighbour table: off"));
    // By address: the laptop has one, the tablet none.
    assert_eq!(laptop.ask("10.77.0.20:0", V4), Some(Who::Laptop));
    assert_eq!(tablet.ask("10.77.0.10:0", V4), Some(Who::Guest));

    router.configure("");
    wait_for("the table to be followed", || {
        let line = router.neighbour_table();
        line.contains("neighbour table: works").then_some(())
    });
    assert_eq!(tablet.ask("10.77.0.10:0", V4), Some(Who::Tablet));
    tablet.ip("addr add 10.77.0.30/24 dev eth0");
    assert_eq!(tablet.ask("10.77.0.30:0", V4), Some(Who::Tablet));

    router.configure(off);
    wait_for("the table to be left alone", || {
        let line = router.neighbour_table();
        line.contains("neighbour table: off").then_some(())
    });
    assert_eq!(tablet.ask("10.77.0.10:0", V4), Some(Who::Guest));
}

#[test]
fn where_every_client_comes_through_a_router_it_is_said_that_none_can_be_seen() {
    const TOLD: &str = "no MAC address can be seen";
    if !is_possible() {
        return;
    }
    let street = Street::new("");
    let Street {
        tablet,
        laptop,
        router,
    } = &street;
    // A network behind the tablet: what comes from there came through a router.
    tablet.ip("addr add 10.88.0.10/32 dev eth0");
    router.machine.ip("route add 10.88.0.0/24 via 10.77.0.10");
    assert_eq!(tablet.ask("10.88.0.10:0", V4), Some(Who::Guest));
    let is_told = || router.hedgerow("status").contains(TOLD);
    assert!(!is_told());
    let mut many = tablet.inside("flood 10.88.0.10:0 10.77.0.1:53 200 1");
    assert!(many.output().unwrap().status.success());
    assert!(is_told(), "{}", router.hedgerow("status"));
    assert_eq!(laptop.ask("10.77.0.20:0", V4), Some(Who::Laptop));
    assert!(!is_told());
}

/// Starts a program for which there is no netlink, as where a container's rules forbid it.
const WITHOUT_NETLINK: &str = r"
import ctypes, os, platform, struct, sys
number = {'x86_64': 41, 'aarch64': 198}[platform.machine()]
rules = [
    (0x20, 0, 0, 0),            # the number of the system call
    (0x15, 0, 3, number),       # socket(2)?
    (0x20, 0, 0, 16),           # its first argument
    (0x15, 0, 1, 16),           # AF_NETLINK?
    (0x06, 0, 0, 0x00050001),   # then EPERM
    (0x06, 0, 0, 0x7fff0000),   # else let it be
]
code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *rule) for rule in rules))
class Program(ctypes.Structure):
    _fields_ = [('length', ctypes.c_ushort), ('code', ctypes.c_void_p)]
program = Program(len(rules), ctypes.addressof(code))
prctl = ctypes.CDLL(None, use_errno=True).prctl
zero = ctypes.c_ulong(0)
assert prctl(38, ctypes.c_ulong(1), zero, zero, zero) == 0
assert prctl(22, ctypes.c_ulong(2), ctypes.byref(program), zero, zero) == 0, ctypes.get_errno()
os.execv(sys.argv[1], sys.argv[1:])
";

#[test]
fn without_netlink_addresses_count_and_it_is_said() {
    if !is_possible() {
        return;
    }
    let trial = "import ctypes, platform; {'x86_64': 41, 'aarch64': 198}[platform.machine()]";
    let python = Command::new("python3").args(["-c", trial]).output();
    if !python.is_ok_and(|output| output.status.success()) {
        skip("no Python that can forbid a system call");
        return;
    }
    let mut street = Street::new(NOT_YET);
    street.router.start(&["python3", "-c", WITHOUT_NETLINK]);
    let line = street.router.neighbour_table();
    assert!(line.contains("missing"), "{line}");
    assert!(line.contains("Operation not permitted"), "{line}");
    let log = street.router.log();
    let said = log.matches("neighbour table cannot be read").count();
    assert_eq!(said, 1, "{log}");
    assert_eq!(street.laptop.ask("10.77.0.20:0", V4), Some(Who::Laptop));
    assert_eq!(street.tablet.ask("10.77.0.10:0", V4), Some(Who::Guest));
}

#[test]
fn a_system_without_ipv6_works() {
    if !is_possible() {
        return;
    }
    let mut street = Street::new(NOT_YET);
    street
        .router
        .machine
        .set("net.ipv6.conf.all.disable_ipv6", "1");
    street.router.configure("");
    street.router.start(&[]);
    let Street { tablet, router, .. } = &street;
    assert_eq!(tablet.ask("10.77.0.10:0", V4), Some(Who::Tablet));
    router.machine.ip("neigh flush all");
    tablet.ip("addr add 10.77.0.30/24 dev eth0");
    assert_eq!(tablet.ask("10.77.0.30:0", V4), Some(Who::Tablet));
    assert!(router.neighbour_table().contains("neighbour table: works"));
}
