//! Updates.

use super::{
    Db, Error, begin, commit, dialect, execute, jobs, json, now, parse, promotions, reports, row,
    rows, supersedes, time, to_json, unsigned,
};
use resplice_api::{
    JobId, NewUpdate, Rejection, Release, Revocation, TargetStatus, Update, UpdateId, UpdateSummary,
};
use sea_orm::{ConnectionTrait, FromQueryResult};

const COLUMNS: &str = "id, name, cves, notes, files, patch_sha256, patch_bytes, check_sha256,
    uploaded_by, created_at, released_at, released_by, release_comment,
    channel, revoked_at, revoked_by, revoke_reason, revoke_undo,
    rejected_at, rejected_by, reject_reason";

/// An update's row.
#[derive(FromQueryResult)]
pub(crate) struct UpdateRow {
    id: String,
    name: String,
    cves: String,
    notes: String,
    files: String,
    patch_sha256: String,
    patch_bytes: i64,
    pub(crate) check_sha256: Option<String>,
    uploaded_by: String,
    created_at: i64,
    released_at: Option<i64>,
    released_by: Option<String>,
    release_comment: Option<String>,
    channel: Option<String>,
    revoked_at: Option<i64>,
    revoked_by: Option<String>,
    revoke_reason: Option<String>,
    revoke_undo: Option<i64>,
    rejected_at: Option<i64>,
    rejected_by: Option<String>,
    reject_reason: Option<String>,
}

impl UpdateRow {
    /// The update without its jobs and reports.
    pub(crate) fn read(self) -> Result<Update, Error> {
        let operation = "read an update";
        let released = match self.released_at {
            Some(at) => Some(Release {
                by: self.released_by.unwrap_or_default(),
                at: time(operation, at)?,
                comment: self.release_comment.unwrap_or_default(),
            }),
            None => None,
        };
        let revoked = match self.revoked_at {
            Some(at) => Some(Revocation {
                by: self.revoked_by.unwrap_or_default(),
                at: time(operation, at)?,
                reason: self.revoke_reason.unwrap_or_default(),
                undo: self.revoke_undo == Some(1),
            }),
            None => None,
        };
        let rejected = match self.rejected_at {
            Some(at) => Some(Rejection {
                by: self.rejected_by.unwrap_or_default(),
                at: time(operation, at)?,
                reason: self.reject_reason.unwrap_or_default(),
            }),
            None => None,
        };
        Ok(Update {
            id: parse(operation, &self.id)?,
            name: self.name,
            cves: json(operation, &self.cves)?,
            notes: self.notes,
            patch_sha256: self.patch_sha256,
            patch_bytes: unsigned(self.patch_bytes),
            files: json(operation, &self.files)?,
            has_check: self.check_sha256.is_some(),
            uploaded_by: self.uploaded_by,
            created_at: time(operation, self.created_at)?,
            released,
            revoked,
            rejected,
            channel: self.channel.map(|c| parse(operation, &c)).transpose()?,
            promotions: Vec::new(),
            supersedes: Vec::new(),
            superseded_by: Vec::new(),
            jobs: Vec::new(),
            reports: Vec::new(),
        })
    }
}

/// What is stored of an upload beside its fields.
#[derive(Debug, Clone, Copy)]
pub struct Upload<'a> {
    /// The patch's blob.
    pub patch_sha256: &'a str,
    /// The check's blob.
    pub check_sha256: Option<&'a str>,
    /// Paths that the patch touches.
    pub files: &'a [String],
    /// Name of the token.
    pub uploaded_by: &'a str,
    /// Public part of the token.
    pub token: &'a str,
}

/// Creates an update and queues its jobs, all or nothing.
///
/// # Errors
/// The database's.
pub async fn create(db: &Db, new: &NewUpdate, upload: &Upload<'_>) -> Result<UpdateId, Error> {
    let id = UpdateId::new();
    let transaction = begin(db).await?;
    execute(
        &transaction,
        "store an update",
        "INSERT INTO updates (id, name, cves, notes, files, patch_sha256, patch_bytes,
             check_sha256, uploaded_by, uploader_token, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        vec![
            id.to_string().into(),
            new.name.as_str().into(),
            to_json(&new.cves)?.into(),
            new.notes.as_str().into(),
            to_json(&upload.files)?.into(),
            upload.patch_sha256.into(),
            i64::try_from(new.patch.len()).unwrap_or(i64::MAX).into(),
            upload.check_sha256.map(str::to_owned).into(),
            upload.uploaded_by.into(),
            upload.token.into(),
            now().into(),
        ],
    )
    .await?;
    supersedes::add(&transaction, id, &new.supersedes).await?;
    jobs::queue(&transaction, id, &new.targets, upload.uploaded_by).await?;
    commit(transaction).await?;
    Ok(id)
}

/// Keeps an update's row as it is until the end of a transaction.
pub(crate) async fn lock<C: ConnectionTrait>(db: &C, id: UpdateId) -> Result<(), Error> {
    let locked = dialect::of(db.get_database_backend()).locked();
    let sql = format!("SELECT id FROM updates WHERE id = $1{locked}");
    execute(db, "look up an update", &sql, vec![id.to_string().into()])
        .await
        .map(drop)
}

/// Finds an update's row.
pub(crate) async fn find_row<C: ConnectionTrait>(
    db: &C,
    id: UpdateId,
) -> Result<Option<UpdateRow>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM updates WHERE id = $1");
    row(db, "look up an update", &sql, vec![id.to_string().into()]).await
}

/// Finds an update with its jobs and reports.
///
/// # Errors
/// The database's.
pub async fn find<C: ConnectionTrait>(db: &C, id: UpdateId) -> Result<Option<Update>, Error> {
    let Some(found) = find_row(db, id).await? else {
        return Ok(None);
    };
    let mut update = found.read()?;
    update.supersedes = supersedes::older(db, id).await?;
    update.superseded_by = supersedes::newer(db, id).await?;
    update.promotions = promotions::of_update(db, id).await?;
    update.jobs = jobs::of_update(db, id).await?;
    update.reports = reports::of_update(db, id).await?;
    Ok(Some(update))
}

#[derive(FromQueryResult)]
struct TargetRow {
    update_id: String,
    id: String,
    target: String,
    status: String,
}

/// A page of updates, newest first.
///
/// # Errors
/// The database's.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    limit: u64,
    before: Option<UpdateId>,
) -> Result<Vec<UpdateSummary>, Error> {
    // Ids sort by time; 'g' is behind all of them.
    let before = before.map_or_else(|| "g".to_owned(), |id| id.to_string());
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let page = "SELECT id FROM updates WHERE id < $1 ORDER BY id DESC LIMIT $2";
    let values = vec![before.into(), limit.into()];
    let sql = format!("SELECT {COLUMNS} FROM updates WHERE id IN ({page}) ORDER BY id DESC");
    let updates: Vec<UpdateRow> = rows(db, "list the updates", &sql, values.clone()).await?;
    let sql = format!(
        "SELECT update_id, id, target, status FROM jobs WHERE update_id IN ({page}) ORDER BY target"
    );
    let targets: Vec<TargetRow> = rows(db, "list the updates", &sql, values).await?;
    updates
        .into_iter()
        .map(|update| summary(update.read()?, &targets))
        .collect()
}

fn summary(update: Update, targets: &[TargetRow]) -> Result<UpdateSummary, Error> {
    let operation = "read a job";
    let id = update.id.to_string();
    let targets = targets
        .iter()
        .filter(|row| row.update_id == id)
        .map(|row| {
            Ok(TargetStatus {
                target: row.target.clone(),
                job: parse::<JobId>(operation, &row.id)?,
                status: parse(operation, &row.status)?,
            })
        })
        .collect::<Result<_, Error>>()?;
    Ok(UpdateSummary {
        id: update.id,
        name: update.name,
        cves: update.cves,
        created_at: update.created_at,
        uploaded_by: update.uploaded_by,
        released: update.released.is_some(),
        revoked: update.revoked.is_some(),
        rejected: update.rejected.is_some(),
        channel: update.channel,
        targets,
    })
}
