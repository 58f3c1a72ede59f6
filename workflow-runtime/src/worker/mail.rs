//! Messages for runs in memory.

use std::sync::Arc;

use std::time::Duration;

use super::Shared;
use super::run::Run;
use super::thread::WorkflowThread;
use crate::clock::pause;
use crate::error::{Failure, FailureKind};
use crate::model::{CallId, News, Post, Undelivered};
use crate::step::{Letter, Mailer, Posted};
use crate::store::Starts as _;

/// How soon a letter of a step is tried again.
const RETRY: Duration = Duration::from_millis(100);

impl WorkflowThread {
    /// Messages have come for a run. One that has left memory finds them when it
    /// comes back.
    pub(super) fn news(&mut self, news: News) {
        let Some(ticket) = self.ticket_of(news.run) else { return };
        self.with(ticket, |_, run| {
            run.hears(news.mail, news.heard);
            Self::stays(run)
        });
    }

    /// Delivers what somebody waits for, each in a turn of its own.
    pub(super) fn deliver_mail(&self, run: &mut Run) {
        if run.mail.is_empty() || run.actor.is_blocked() {
            return;
        }
        while let Some(taken) = run.actor.deliver_mail(&run.mail, self.now) {
            run.mail.retain(|one| one.number != taken);
            run.taken.insert(taken);
        }
        self.settle_dropped(run);
    }

    /// What calls asked of others was not accepted: that is their outcome.
    pub(super) fn not_delivered(&self, run: &mut Run, calls: &[(CallId, Undelivered)]) {
        for (call, why) in calls {
            let message = run.actor.undelivered(*call, *why);
            if !run.actor.is_waiting(*call) {
                tracing::warn!(id = %run.actor.id(), "{message}");
                continue;
            }
            let failure = Failure::of_kind(FailureKind::Undelivered, message);
            let text = serde_json::json!({ "failure": failure }).to_string();
            self.deliver_text(run, *call, &text);
        }
    }

    pub(super) fn deliver_text(&self, run: &mut Run, call: CallId, text: &str) {
        run.actor.deliver(call, Arc::<str>::from(text).into(), self.now);
        self.settle_dropped(run);
    }
}

impl Mailer for Shared {
    fn post(self: Arc<Self>, letter: Letter) -> Posted {
        let Letter { message, to, name, body } = letter;
        let (at, limit) = (self.parts.clock.now(), self.parts.settings.max_mailbox);
        let post = Post { message, to, asker: None, name: name.into(), body, at, limit };
        Box::pin(async move {
            loop {
                match self.parts.store.post(vec![post.clone()]).await {
                    Ok(delivered) => {
                        self.nudge();
                        return delivered.into_iter().next().unwrap_or(Ok(()));
                    }
                    // Sent again it is the same message.
                    Err(error) => tracing::warn!("a signal of a step waits: {error}"),
                }
                pause(RETRY).await;
            }
        })
    }
}
