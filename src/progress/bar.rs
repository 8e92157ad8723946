//! Progress as a bar on the terminal.

use std::collections::HashMap;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::Progress;
use crate::rt::Mutex;

const KNOWN: &str = "{msg} {bar:40} {pos}/{len} {prefix}";
const UNKNOWN: &str = "{msg} {spinner} {pos} {prefix}";

/// Draws a bar for each piece of work, on standard error if that is a terminal.
pub(crate) fn bar() -> impl Fn(&Progress) + Send + Sync {
    let (bars, drawn) = (MultiProgress::new(), Mutex::new(HashMap::new()));
    move |progress| {
        let mut drawn = drawn.lock();
        let at = (progress.work, progress.table.clone());
        if progress.is_over {
            if let Some(bar) = drawn.remove(&at) {
                let bar: ProgressBar = bar;
                bar.finish_and_clear();
            }
            return;
        }
        draw(drawn.entry(at).or_insert_with(|| bars.add(new(progress))), progress);
    }
}

fn new(progress: &Progress) -> ProgressBar {
    let template = if progress.total.is_some() { KNOWN } else { UNKNOWN };
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(progress.total.unwrap_or_default())
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(format!("{} {}", progress.work.name(), progress.table))
}

fn draw(bar: &ProgressBar, progress: &Progress) {
    if let Some(total) = progress.total {
        bar.set_length(total);
    }
    let mut beside = vec![format!("{:.0} units/s", progress.units_per_second)];
    if progress.retries > 0 {
        beside.push(format!("{} retries", progress.retries));
    }
    beside.extend(progress.time_left.map(|left| format!("{:.0} s left", left.as_secs_f64())));
    bar.set_prefix(beside.join(", "));
    bar.set_position(progress.done);
}
