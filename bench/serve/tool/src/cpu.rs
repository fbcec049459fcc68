//! Time of processes on the processor, as the scheduler counts it.

use std::collections::HashMap;
use std::fs;

/// Nanoseconds on the processor of some processes, all their threads.
pub struct Meter {
    processes: Vec<u32>,
    /// What each thread had when it was last seen: those that ended count too.
    threads: HashMap<(u32, u32), u64>,
}

impl Meter {
    pub fn new(processes: &[u32]) -> Self {
        Self {
            processes: processes.to_vec(),
            threads: HashMap::new(),
        }
    }

    /// What they have spent since they began.
    pub fn read(&mut self) -> u64 {
        for &process in &self.processes {
            let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else {
                continue;
            };
            for task in tasks.flatten() {
                let Some(thread) = task.file_name().to_str().and_then(|it| it.parse().ok()) else {
                    continue;
                };
                // The first word is time on the processor (Linux, Documentation/scheduler/sched-stats).
                let spent = fs::read_to_string(task.path().join("schedstat"))
                    .ok()
                    .and_then(|it| it.split(' ').next()?.parse().ok());
                if let Some(spent) = spent {
                    self.threads.insert((process, thread), spent);
                }
            }
        }
        self.threads.values().sum()
    }
}
