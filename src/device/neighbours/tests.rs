use super::*;

fn mac(last: u16) -> Mac {
    let [high, low] = last.to_be_bytes();
    Mac::new([2, 0, 0x5e, 0x10, high, low]).unwrap()
}

fn place(address: &str) -> Place {
    Place::new(address.parse().unwrap(), 7)
}

fn says(witness: Witness, address: &str, mac: Option<Mac>) -> Change {
    Change {
        place: place(address),
        witness,
        mac,
    }
}

fn best(table: &Neighbours, address: &str) -> Option<(Mac, Witness)> {
    let (id, witness) = table.find(place(address))?.best()?;
    Some((table.mac(id)?, witness))
}

#[test]
fn a_place_keeps_its_address_and_the_interface_where_it_matters() {
    for (address, interface) in [
        ("192.0.2.7", None),
        ("2001:db8::7", None),
        ("fe80::1:2:3:4", Some(9)),
    ] {
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(Place::new(address, 9).address(), (address, interface));
    }
    let on = |interface| Place::new("fe80::1".parse().unwrap(), interface);
    assert_ne!(on(2), on(3));
    assert_eq!(
        place("192.0.2.7"),
        Place::new("::ffff:192.0.2.7".parse().unwrap(), 1)
    );
}

#[test]
fn the_best_witness_decides_and_each_can_take_back_what_it_said() {
    let (table, _service) = Neighbours::new();
    let address = "192.0.2.7";
    table.apply([
        says(Witness::Ethers, address, Some(mac(1))),
        says(Witness::Lease, address, Some(mac(2))),
    ]);
    assert_eq!(best(&table, address), Some((mac(2), Witness::Lease)));
    table.apply([says(Witness::Kernel, address, Some(mac(3)))]);
    assert_eq!(best(&table, address), Some((mac(3), Witness::Kernel)));
    table.apply([says(Witness::Kernel, address, Some(mac(1)))]);
    assert_eq!(best(&table, address), Some((mac(1), Witness::Kernel)));
    table.apply([says(Witness::Kernel, address, None)]);
    assert_eq!(best(&table, address), Some((mac(2), Witness::Lease)));
    table.retain(Witness::Lease, |_| false);
    assert_eq!(best(&table, address), Some((mac(1), Witness::Ethers)));
    table.apply([says(Witness::Ethers, address, None)]);
    assert_eq!(table.find(place(address)), None);
    assert_eq!(table.state().places, 0);
}

#[test]
fn a_mac_address_with_many_ipv4_addresses_is_shared() {
    let (table, _service) = Neighbours::new();
    let addresses: Vec<String> = (0..SHARED).map(|n| format!("192.0.2.{n}")).collect();
    let said = |mac| {
        addresses
            .iter()
            .map(move |it| says(Witness::Kernel, it, mac))
    };
    table.apply(said(Some(mac(1))));
    let id = table.id(mac(1)).unwrap();
    assert!(table.is_shared(id));
    table.apply([says(Witness::Kernel, "192.0.2.0", None)]);
    assert!(!table.is_shared(id));
    // One machine has many IPv6 addresses, and is one machine.
    let (table, _service) = Neighbours::new();
    table.apply((0..9).map(|n| says(Witness::Kernel, &format!("2001:db8::{n}"), Some(mac(1)))));
    let id = table.id(mac(1)).unwrap();
    assert!(!table.is_shared(id));
    assert_eq!(table.places_of(id).len(), 9);
}

#[test]
fn numbers_come_back_unless_the_configuration_names_them() {
    let (table, _service) = Neighbours::new();
    let named = table.name(mac(0)).unwrap();
    for n in 1..MAX_MACS as u16 {
        let seen = says(Witness::Kernel, "192.0.2.1", Some(mac(n)));
        table.apply([seen]);
    }
    // All numbers are given, all but two are of no use any more.
    table.apply([says(Witness::Kernel, "192.0.2.2", Some(mac(5_000)))]);
    assert_eq!(
        best(&table, "192.0.2.2"),
        Some((mac(5_000), Witness::Kernel))
    );
    assert_eq!(table.id(mac(0)), Some(named));
    assert_eq!(table.id(mac(7)), None);
    assert_eq!(
        best(&table, "192.0.2.1").unwrap().0,
        mac(MAX_MACS as u16 - 1)
    );
    // And again: what was given free once is not given free twice.
    for n in 6_000..6_000 + 2 * MAX_MACS as u16 {
        table.apply([says(Witness::Kernel, "192.0.2.3", Some(mac(n)))]);
        assert_eq!(best(&table, "192.0.2.3").unwrap().0, mac(n));
    }
    assert_eq!(best(&table, "192.0.2.2").unwrap().0, mac(5_000));
}

#[test]
fn one_device_cannot_fill_the_table() {
    let (table, _service) = Neighbours::new();
    let flood = |n: u32| says(Witness::Kernel, &format!("2001:db8::{n:x}"), Some(mac(1)));
    table.apply((0..u32::from(MAX_PLACES_OF_ONE) * 2).map(flood));
    assert_eq!(table.all().len(), usize::from(MAX_PLACES_OF_ONE));
    table.apply([says(Witness::Kernel, "192.0.2.9", Some(mac(2)))]);
    assert!(best(&table, "192.0.2.9").is_some());
}

#[test]
fn a_stranger_is_told_of_once() {
    let (table, mut service) = Neighbours::new();
    table.apply([says(Witness::Kernel, "192.0.2.9", Some(mac(2)))]);
    let id = table.id(mac(2)).unwrap();
    let all = [
        Arrival::Mac(id),
        Arrival::Address(place("2001:db8::9")),
        Arrival::Claimed(mac(3)),
    ];
    for arrival in all {
        table.note_stranger(arrival);
        table.note_stranger(arrival);
        assert_eq!(service.arrivals.try_recv(), Ok(arrival));
        assert!(service.arrivals.try_recv().is_err());
        table.forget_stranger(arrival);
        table.note_stranger(arrival);
        assert_eq!(service.arrivals.try_recv(), Ok(arrival));
    }
    // Nobody takes them: they are told of when there is room again.
    let many = |n: u32| Arrival::Address(place(&format!("2001:db8::1:{n:x}")));
    for n in 0..100 {
        table.note_stranger(many(n));
    }
    let told = std::iter::from_fn(|| service.arrivals.try_recv().ok()).count();
    assert_eq!(told, 64);
    table.note_stranger(many(99));
    assert_eq!(service.arrivals.try_recv(), Ok(many(99)));
}

#[tokio::test(start_paused = true)]
async fn who_asks_waits_for_the_kernel_and_not_longer_than_patience() {
    let (table, mut service) = Neighbours::new();
    let address = "192.0.2.9".parse().unwrap();
    let asking = tokio::spawn({
        let table = Arc::clone(&table);
        async move { table.ask(address, 7).await }
    });
    let expected = Request {
        address,
        interface: 7,
    };
    assert_eq!(service.requests.recv().await, Some(expected));
    // A lease is not what it waits for.
    table.apply([says(Witness::Lease, "192.0.2.9", Some(mac(1)))]);
    tokio::task::yield_now().await;
    assert!(!asking.is_finished());
    table.apply([says(Witness::Kernel, "192.0.2.9", Some(mac(2)))]);
    assert_eq!(asking.await.unwrap(), Asked::Seen);
    // Known by now: nobody is asked.
    assert_eq!(table.ask(address, 7).await, Asked::Seen);
    assert!(service.requests.try_recv().is_err());

    let begin = tokio::time::Instant::now();
    let late = table.ask("192.0.2.10".parse().unwrap(), 7).await;
    assert_eq!(late, Asked::Late);
    assert_eq!(begin.elapsed(), PATIENCE);
    assert_eq!(table.state().waiters, 0);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_address_that_is_forgotten_goes_on_waiting() {
    let (table, mut service) = Neighbours::new();
    let address = "192.0.2.9".parse().unwrap();
    let asking = tokio::spawn({
        let table = Arc::clone(&table);
        async move { table.ask(address, 7).await }
    });
    service.requests.recv().await.unwrap();
    // What the kernel had before was of no use, and it looks again.
    table.apply([says(Witness::Kernel, "192.0.2.9", None)]);
    tokio::task::yield_now().await;
    assert!(!asking.is_finished());
    assert!(table.is_awaited(place("192.0.2.9")));
    table.give_up(place("192.0.2.9"));
    assert_eq!(asking.await.unwrap(), Asked::Hopeless);
    assert!(!table.is_awaited(place("192.0.2.9")));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_unknown_addresses_waits_for_nobody() {
    let (table, mut service) = Neighbours::new();
    let ask = |n: usize| {
        let table = Arc::clone(&table);
        let address = Ipv6Addr::from(0x2001_0db8_u128 << 96 | n as u128);
        tokio::spawn(async move { table.ask(address.into(), 7).await })
    };
    let waiting: Vec<_> = (0..MAX_WAITING).map(ask).collect();
    tokio::task::yield_now().await;
    let begin = tokio::time::Instant::now();
    assert_eq!(ask(MAX_WAITING).await.unwrap(), Asked::Late);
    assert_eq!(begin.elapsed(), Duration::ZERO);
    // Those whose clients went away make room.
    for it in waiting {
        it.abort();
        drop(it.await);
    }
    while service.requests.try_recv().is_ok() {}
    let late = ask(MAX_WAITING + 1);
    tokio::task::yield_now().await;
    assert_eq!(table.state().waiters, 1);
    late.abort();
}

#[tokio::test(start_paused = true)]
async fn who_has_more_addresses_than_are_remembered_is_told_so_at_once() {
    let (table, mut service) = Neighbours::new();
    let address = |n: u16| format!("2001:db8::{n:x}");
    let its = |n: u16| says(Witness::Kernel, &address(n), Some(mac(1)));
    table.apply((0..MAX_PLACES_OF_ONE).map(its));
    let asking = tokio::spawn({
        let table = Arc::clone(&table);
        async move {
            table
                .ask(address(MAX_PLACES_OF_ONE).parse().unwrap(), 7)
                .await
        }
    });
    service.requests.recv().await.unwrap();
    let begin = tokio::time::Instant::now();
    // A lease of it is not what it waits for.
    let leased = says(Witness::Lease, &address(MAX_PLACES_OF_ONE), Some(mac(1)));
    table.apply([leased]);
    tokio::task::yield_now().await;
    assert!(!asking.is_finished());
    table.apply([its(MAX_PLACES_OF_ONE)]);
    assert_eq!(asking.await.unwrap(), Asked::Hopeless);
    assert_eq!(begin.elapsed(), Duration::ZERO);
    // Others have room.
    table.apply([says(Witness::Kernel, "192.0.2.9", Some(mac(2)))]);
    let seen = Some((mac(2), Witness::Kernel));
    assert_eq!(best(&table, "192.0.2.9"), seen);
}

#[test]
fn who_is_always_beyond_our_links_is_out_of_sight() {
    let (table, _service) = Neighbours::new();
    table.set_watching(true);
    table.set_links(vec![Link {
        interface: 7,
        net: "192.0.2.1/24".parse().unwrap(),
    }]);
    let far: IpAddr = "198.51.100.7".parse().unwrap();
    let near: IpAddr = "192.0.2.7".parse().unwrap();
    let ask = |address: IpAddr, is_known| {
        for _ in 0..OUT_OF_SIGHT {
            table.note_sight(address, is_known);
        }
    };
    // The kernel was only slow, or it is this machine itself.
    ask(near, false);
    ask(IpAddr::from([127, 0, 0, 1]), false);
    assert!(!table.is_out_of_sight());
    ask(far, false);
    assert!(table.is_out_of_sight());
    // A forwarder's lease or anybody nearby is enough.
    table.note_sight(near, true);
    assert!(!table.is_out_of_sight());
    table.set_watching(false);
    ask(far, false);
    assert!(!table.is_out_of_sight());
}
