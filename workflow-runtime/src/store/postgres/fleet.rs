//! Workers beside each other: who lives, and who takes over from whom.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::Row as _;

use super::news::Kind;
use super::{Claimant, Inner, ask, open};
use crate::clock::{Moment, Timestamp};
use crate::error::Error;
use crate::model::WriterId;
use crate::store::{Alive, Fleet, Member, Seen};

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../sql/query/", $name, ".postgres.sql"))
    };
}

#[async_trait]
impl Fleet for Inner {
    async fn join(&self, member: Member) -> Result<(), Error> {
        let Member { writer, build, workflows, host, process, at } = member;
        let joined = build.clone();
        self.io
            .live(
                self.sign,
                ask!(c => {
                    let join =
                        c.query(sql!("join")).bind(writer.0).bind(host).bind(i64::from(process));
                    join.bind(joined).bind(at.as_millis()).execute(&mut **c).await.map(drop)
                }),
            )
            .await?;
        self.claims_as(Claimant { build: build.into(), workflows: Some(workflows) });
        self.ensure(writer).await
    }

    async fn beat(&self, writer: WriterId) -> Result<Option<Alive>, Error> {
        let (servers, sent) = (Arc::clone(&self.servers), Moment::now());
        self.io
            .live(
                self.sign,
                ask!(c => {
                    let beat = c.query(sql!("beat")).bind(writer.0);
                    let Some(row) = beat.fetch_optional(&mut **c).await? else { return Ok(None) };
                    servers.memory.lives(writer, row.try_get("beat")?, sent);
                    let at = Timestamp::from_millis(row.try_get("at")?);
                    let is_outdated = row.try_get::<i64, _>("version")? > open::known();
                    Ok(Some(Alive { at, is_outdated }))
                }),
            )
            .await
    }

    async fn others(&self, writer: WriterId) -> Result<Vec<Seen>, Error> {
        self.io
            .live(
                self.sign,
                ask!(c => {
                    let rows = c.query(sql!("others")).bind(writer.0).fetch_all(&mut **c).await?;
                    let seen = rows.iter().map(|row| {
                        Ok(Seen {
                            worker: WriterId(row.try_get("writer")?),
                            beat: row.try_get("beat")?,
                            live: row.try_get("live")?,
                        })
                    });
                    seen.collect()
                }),
            )
            .await
    }

    async fn declare_dead(&self, seen: Seen) -> Result<(), Error> {
        self.io
            .live(
                self.sign,
                ask!(c => {
                    let dead = c.query(sql!("declare_dead")).bind(seen.worker.0).bind(seen.beat);
                    dead.execute(&mut **c).await.map(drop)
                }),
            )
            .await
    }

    async fn leave(&self, writer: WriterId) -> Result<(), Error> {
        self.io
            .live(
                self.sign,
                ask!(c => {
                    c.query(sql!("leave")).bind(writer.0).execute(&mut **c).await.map(drop)
                }),
            )
            .await
    }

    fn announce(&self) {
        self.news.announce(Kind::Work);
    }

    fn announce_ends(&self) {
        self.news.announce(Kind::Ends);
    }

    fn ended_elsewhere(&self) -> bool {
        self.news.has_come(Kind::Ends)
    }
}
