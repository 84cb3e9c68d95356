//! Child processes that never outlive their test.

use std::process::{Command as StdCommand, Stdio};

use anyhow::{Context, Result};
use tokio::process::{Child, Command};

/// A child and all its descendants: it leads a process group of its own, and the
/// whole group is ended on drop.
#[derive(Debug)]
pub(crate) struct Group {
    child: Child,
    id: Option<u32>,
}

impl Group {
    /// Starts `command` as the leader of a new process group.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        let program = command.as_std().get_program().to_owned();
        let child = command
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let id = child.id();
        Ok(Self { child, id })
    }

    /// The process id of the leader.
    pub(crate) fn id(&self) -> Option<u32> {
        self.id
    }

    /// The leader.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        // No safe call signals a group; the command does.
        let _ = StdCommand::new("kill")
            .args(["-KILL", "--", &format!("-{id}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}
