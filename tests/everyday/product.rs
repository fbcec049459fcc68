//! The same through the real binary: one daemon, all names.

use crate::support::upstream::{address, cname, https};
use crate::support::wire::rtype;
use crate::support::{Home, Say};
use crate::{Thing, devices, things};

/// Makes the upstream lead from `name` to where the thing leads.
fn lead(home: &Home, name: &str, thing: &Thing) {
    let mut records = Vec::new();
    let mut owner = name;
    for next in thing.leads_to.iter().filter(|it| *it != name) {
        records.push(cname(next).of(owner));
        owner = next;
    }
    records.push(address("192.0.2.1").of(owner));
    home.upstream
        .on_question(name, rtype::A, Say::Records(records));
    let target = thing.leads_to.last().map_or("", String::as_str);
    let record = https(1, target, &["192.0.2.1"], b"");
    home.upstream
        .on_question(name, rtype::HTTPS, Say::one(record));
}

#[test]
fn ordinary_things_are_answered_by_the_daemon() {
    let home = Home::start(&devices());
    let (mut asked, mut wrong) = (0, Vec::new());
    for thing in things() {
        for name in &thing.names {
            lead(&home, name, &thing);
            for (preset, from) in thing.askers() {
                asked += 1;
                let reply = home.look_up(from, name, rtype::A);
                let is_local =
                    name == "localhost" || [".arpa", ".local"].iter().any(|it| name.ends_with(it));
                let is_answered = reply.answers().iter().any(|it| it == "A 192.0.2.1");
                if reply.ede().is_some() && !thing.safe_form || !is_answered && !is_local {
                    wrong.push(format!(
                        "{preset}: {name}: {:?} {:?}",
                        reply.answers(),
                        reply.ede()
                    ));
                }
                // A safe form has no HTTPS record of its own.
                let reply = home.look_up(from, name, rtype::HTTPS);
                if !thing.safe_form && !is_local && reply.answers().len() != 1 {
                    wrong.push(format!("{preset}: {name} HTTPS: {:?}", reply.ede()));
                }
            }
        }
    }
    println!("{asked} names asked for");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(asked > 4_000, "{asked}");
}
