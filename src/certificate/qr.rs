//! QR codes, as text for a terminal and as SVG.

use qrcodegen::{QrCode, QrCodeEcc};

/// Light modules around a code that readers need (ISO/IEC 18004).
const QUIET: i32 = 4;

/// The code of `content`; none if it is longer than a code can hold.
fn code(content: &str) -> Option<QrCode> {
    QrCode::encode_text(content, QrCodeEcc::Medium).ok()
}

/// `content` as lines of half blocks: two rows of modules to a line. Light modules are drawn, so
/// that it can be read on a dark terminal; readers take it inverted too.
pub fn text(content: &str) -> Option<String> {
    let code = code(content)?;
    let is_light = |x: i32, y: i32| !code.get_module(x, y);
    let mut text = String::new();
    let edge = QUIET / 2;
    for y in (-edge..code.size() + edge).step_by(2) {
        for x in -edge..code.size() + edge {
            // The row below the last one is not part of it.
            let below = y + 1 < code.size() + edge && is_light(x, y + 1);
            text.push(match (is_light(x, y), below) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        text.push('\n');
    }
    Some(text)
}

/// `content` as an SVG of its own.
pub fn svg(content: &str) -> Option<String> {
    let code = code(content)?;
    let side = code.size() + 2 * QUIET;
    let mut path = String::new();
    for y in 0..code.size() {
        let mut x = 0;
        while x < code.size() {
            let begin = x;
            while x < code.size() && code.get_module(x, y) {
                x += 1;
            }
            if x > begin {
                let width = x - begin;
                path.push_str(&format!(
                    "M{} {}h{width}v1h-{width}z",
                    begin + QUIET,
                    y + QUIET
                ));
            }
            x += 1;
        }
    }
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" \
         shape-rendering=\"crispEdges\"><rect width=\"{side}\" height=\"{side}\" \
         fill=\"#fff\"/><path d=\"{path}\" fill=\"#000\"/></svg>\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://dns.home.example/invite/aaaaaaaaaaaaaaaaaaaaaaaaaa";

    /// The dark modules of an SVG of ours.
    fn dark(svg: &str) -> Vec<(i32, i32)> {
        let path = svg.split("d=\"").nth(1).unwrap().split('"').next().unwrap();
        let mut dark = Vec::new();
        for run in path.split_terminator('z') {
            let numbers = run.trim_start_matches('M').split(['h', 'v', ' ', '-']);
            let numbers: Vec<i32> = numbers.filter_map(|it| it.parse().ok()).collect();
            dark.extend(
                (0..numbers[2]).map(|more| (numbers[0] + more - QUIET, numbers[1] - QUIET)),
            );
        }
        dark
    }

    #[test]
    fn both_forms_show_every_module() {
        let code = code(URL).unwrap();
        let size = code.size();
        let expected: Vec<(i32, i32)> = (0..size)
            .flat_map(|y| (0..size).map(move |x| (x, y)))
            .filter(|(x, y)| code.get_module(*x, *y))
            .collect();
        assert!(expected.len() > 300);
        assert_eq!(dark(&svg(URL).unwrap()), expected);

        let text = text(URL).unwrap();
        let mut seen = Vec::new();
        for (row, line) in text.lines().enumerate() {
            for (x, shown) in line.chars().enumerate() {
                let (upper, lower) = match shown {
                    '█' => (false, false),
                    '▀' => (false, true),
                    '▄' => (true, false),
                    _ => (true, true),
                };
                let (x, y) = (x as i32 - 2, 2 * row as i32 - 2);
                seen.extend([(x, y, upper), (x, y + 1, lower)]);
            }
        }
        seen.retain(|(x, y, is_dark)| *is_dark && (0..size).contains(x) && (0..size).contains(y));
        seen.sort_by_key(|(x, y, _)| (*y, *x));
        let seen: Vec<(i32, i32)> = seen.into_iter().map(|(x, y, _)| (x, y)).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_no_code_holds_has_none() {
        assert_eq!(svg(&"x".repeat(4000)), None);
        assert_eq!(text(&"x".repeat(4000)), None);
    }
}
