//! Children grow up: birth dates through the real binary.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use super::support::wire::rtype;
use super::support::{Home, wait_for};
use super::{FAMILY, TABLET, told};

/// A home whose clocks show midnight in so many seconds, and the day that begins then.
fn home_before_midnight(seconds: i64, profile: &str) -> (Home, Date) {
    let now = Timestamp::now().as_second();
    let ahead = 86_400 - seconds - now.rem_euclid(86_400);
    let day = Timestamp::from_second(now + ahead + seconds).unwrap();
    let day = day.to_zoned(jiff::tz::TimeZone::UTC).date();
    // POSIX counts what is east of Greenwich as less than nothing.
    let sign = if ahead < 0 { '+' } else { '-' };
    let size = ahead.abs();
    let zone = format!(
        "<home>{sign}{:02}:{:02}:{:02}",
        size / 3600,
        size / 60 % 60,
        size % 60
    );
    let text = FAMILY.replace("UTC0", &zone);
    (
        Home::start(&format!(
            "{text}\n{}",
            profile.replace("DAY", &born(day, 13))
        )),
        day,
    )
}

/// The birth date of who becomes so old on `day`.
fn born(day: Date, age: i64) -> String {
    day.checked_sub(age.years()).unwrap().to_string()
}

/// Under the preset of the schoolchild, not of the adolescent.
const CLOSED_TO_SCHOOLCHILDREN: &str = "www.tiktok.com";

/// A home in which Mia turns 13 in some seconds, of which she is twelve still.
fn home_of_a_twelve_year_old(more: &str) -> (Home, Date) {
    // A slow machine may need longer than that to start the daemon.
    let homes = [6, 12, 18].into_iter().map(|seconds| {
        let profile = format!("{more}[profile.mia]\nborn = \"DAY\"\n");
        home_before_midnight(seconds, &profile)
    });
    let mut young = homes.filter(|(home, _)| {
        let shown = told(home, &["profile", "show", "mia"]);
        shown.contains("12 years old")
    });
    young.next().expect("the daemon starts before midnight")
}

fn is_blocked(home: &Home) -> bool {
    let reply = home.look_up(TABLET, CLOSED_TO_SCHOOLCHILDREN, rtype::A);
    reply.ede().is_some()
}

#[test]
fn on_the_birthday_the_next_preset_holds_by_itself() {
    let (home, day) = home_of_a_twelve_year_old("");
    let next = format!("adolescent from {day} on");
    assert!(told(&home, &["profile", "show", "mia"]).contains(&next));
    let status = told(&home, &["status"]);
    let announced = format!("`mia` turns 13 on {day}");
    assert!(status.contains(&announced), "{status}");
    let child = told(&home, &["child", "status", "--device", "tablet"]);
    assert!(child.contains(&next), "{child}");
    assert!(is_blocked(&home));
    wait_for("the birthday", || (!is_blocked(&home)).then_some(()));
    let shown = told(&home, &["profile", "show", "mia"]);
    assert!(shown.contains("13 years old"), "{shown}");
    let status = told(&home, &["status"]);
    assert!(!status.contains(&announced), "{status}");
}

#[test]
fn a_test_of_the_household_stands_against_the_next_preset() {
    let test = format!(
        "[[test]]\nname = \"{CLOSED_TO_SCHOOLCHILDREN}\"\nprofile = \"mia\"\nexpect = \"block\"\n"
    );
    let (home, _) = home_of_a_twelve_year_old(&test);
    wait_for("the refusal", || {
        let status = told(&home, &["status"]);
        status.contains("the one before is in force").then_some(())
    });
    let shown = told(&home, &["profile", "show", "mia"]);
    assert!(shown.contains("13 years old"), "{shown}");
    assert!(is_blocked(&home));
}

#[test]
fn controls_end_at_18_unless_they_are_kept() {
    let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    // A day to spare, should midnight pass.
    let grown_up = born(today.yesterday().unwrap(), 18);
    let profile =
        |more: &str| format!("[profile.mia]\nborn = \"{grown_up}\"\nblock = [\"games\"]\n{more}");
    let home = Home::start(&format!("{FAMILY}\n{}", profile("")));
    super::assert_open(&home, &[TABLET], &["play.example"]);
    let shown = told(&home, &["profile", "show", "mia"]);
    assert!(shown.contains("stays as it is"), "{shown}");
    let socket = home.path("../run/control.sock");
    let socket = ["--socket", socket.to_str().unwrap()];
    let asked = [
        "reveal",
        "--profile",
        "mia",
        "--for",
        "1h",
        "--why",
        "to see",
    ];
    let revealed = home.hedgerow(&[&asked[..], &socket].concat());
    let said = String::from_utf8_lossy(&revealed.stderr).into_owned();
    assert!(
        !revealed.status.success() && said.contains("grown up"),
        "{said}"
    );
    drop(home);
    let home = Home::start(&format!("{FAMILY}\n{}", profile("keep-controls = true\n")));
    super::assert_closed(&home, &[TABLET], &["play.example"], "");
}
