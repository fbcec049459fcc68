//! Messages that no ordinary program sends.

use crate::home::{Home, Who};
use crate::{Trick, says, steps};

const GAMBLING: &str = "EDE 17: gambling (list our-gambling)";
const FORM: &str = "FORMERR";

/// A PROXY header, version 2, that says the parent asks (by UDP and by TCP).
const PROXY_UDP: &str = "casino.example A +sentinel \
    +prefix=0d0a0d0a000d0a515549540a2112000c0a4e00140a4e000130390035";
const PROXY_TCP: &str = "casino.example A +tcp \
    +prefix=0d0a0d0a000d0a515549540a2111000c0a4e00140a4e000130390035";

pub fn tricks() -> Vec<Trick> {
    vec![
        says("TCP", "casino.example A +tcp", GAMBLING),
        says(
            "a message split over segments",
            "casino.example A +tcp +split=7",
            GAMBLING,
        ),
        says(
            "a message in segments of an octet",
            "casino.example A +tcp +split=1",
            GAMBLING,
        ),
        says(
            "behind a harmless question",
            "casino.example A +tcp +behind",
            GAMBLING,
        ),
        says(
            "two questions in one message",
            "site.example A +second=casino.example",
            FORM,
        )
        .proved_by(Who::Parent, "casino.example A"),
        says(
            "a question that is an answer",
            "casino.example A +qr +sentinel",
            "silence",
        )
        .proved_by(Who::Parent, "casino.example A"),
        // The name is `casino` and a pointer to what stands behind the question.
        says(
            "a name with a pointer",
            "casino.example A +message=010000010000000000\
             0006636173696e6fc01900010001076578616d706c6500",
            FORM,
        )
        .proved_by(Who::Parent, "casino.example A"),
        says("class ANY", "casino.example A +class=ANY", "REFUSED")
            .proved_by(Who::Parent, "casino.example A"),
        says("class CHAOS", "casino.example A +class=CH", "REFUSED")
            .proved_by(Who::Parent, "casino.example A"),
        says("a notification", "casino.example A +opcode=4", "NOTIMP")
            .proved_by(Who::Parent, "casino.example A"),
        says("an update", "casino.example A +opcode=5", "NOTIMP")
            .proved_by(Who::Parent, "casino.example A"),
        says("a zone's transfer", "casino.example AXFR +tcp", "REFUSED")
            .proved_by(Who::Parent, "casino.example A +tcp"),
        says(
            "only what is in the cache",
            "casino.example A +norec",
            GAMBLING,
        )
        .proved_by(Who::Parent, "casino.example A"),
        steps(
            "what a parent has put into the cache",
            after_a_parent,
            GAMBLING,
        )
        .proved_by_steps(|home| home.says(Who::Parent, "casino.example A")),
        says(
            "signatures are wanted",
            "casino.example A +do +cd",
            GAMBLING,
        ),
        says(
            "a client subnet that is the parent's",
            "casino.example A +option=8:000120000a4e0014",
            GAMBLING,
        ),
        says(
            "a MAC address in an option that is the parent's",
            "casino.example A +option=65001:02005e100203",
            GAMBLING,
        ),
        says(
            "a customer's number in an option",
            "casino.example A +option=65074:6c6170746f70",
            GAMBLING,
        ),
        says("a forwarder's header in front", PROXY_UDP, "NOTIMP")
            .proved_by(Who::Parent, "casino.example A"),
        says("a forwarder's header in front by TCP", PROXY_TCP, "refused")
            .proved_by(Who::Parent, "casino.example A +tcp"),
    ]
}

fn after_a_parent(home: &Home) -> String {
    home.says(Who::Parent, "casino.example A");
    home.says(Who::Child, "casino.example A +norec")
}
