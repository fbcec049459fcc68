//! temporary
fn main() {
    let source = match std::env::args().nth(3) {
        Some(p) => hedgerow::reload::Source::File(p.into()),
        None => hedgerow::reload::Source::Demo,
    };
    let r = hedgerow::daemon::serve(
        hedgerow::daemon::ServeOptions {
            source,
            overrides: Default::default(),
        },
        |r| println!("{r:?}"),
    );
    if let Err(e) = r {
        if let hedgerow::daemon::ServeError::Config(d) = &e {
            for d in d {
                println!("{d}");
            }
        }
        println!("{e}");
    }
}
