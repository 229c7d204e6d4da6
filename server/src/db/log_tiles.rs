//! The transparency log's tiles: hashes of its entries and of each other.

use super::{Error, execute, log::number, row, rows, unreadable, unsigned};
use resplice_tlog::{
    Hash,
    tile::{Place, Tiles},
};
use sea_orm::{ConnectionTrait, FromQueryResult};
use std::collections::BTreeSet;

#[derive(FromQueryResult)]
struct TileRow {
    level: i64,
    idx: i64,
    hashes: String,
}

impl TileRow {
    fn read(&self) -> Result<(Place, Vec<Hash>), Error> {
        let operation = "read the transparency log";
        let bytes = hex::decode(&self.hashes).map_err(|error| unreadable(operation, error))?;
        let (hashes, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(unreadable(operation, "a tile is cut off"));
        }
        let place = Place {
            level: u32::try_from(self.level).map_err(|error| unreadable(operation, error))?,
            index: unsigned(self.idx),
        };
        Ok((place, hashes.to_vec()))
    }
}

/// The tiles at these places that are there.
///
/// # Errors
/// The database's.
pub async fn find<C: ConnectionTrait>(db: &C, places: &BTreeSet<Place>) -> Result<Tiles, Error> {
    let mut tiles = Tiles::default();
    for place in places {
        let sql = "SELECT level, idx, hashes FROM log_tiles WHERE level = $1 AND idx = $2";
        let values = vec![i64::from(place.level).into(), number(place.index)];
        let found: Option<TileRow> = row(db, "read the transparency log", sql, values).await?;
        if let Some(found) = found {
            let (place, hashes) = found.read()?;
            tiles.insert(place, hashes);
        }
    }
    Ok(tiles)
}

/// All tiles.
///
/// # Errors
/// The database's.
pub async fn all<C: ConnectionTrait>(db: &C) -> Result<Tiles, Error> {
    let sql = "SELECT level, idx, hashes FROM log_tiles";
    let found: Vec<TileRow> = rows(db, "read the transparency log", sql, Vec::new()).await?;
    let mut tiles = Tiles::default();
    for row in found {
        let (place, hashes) = row.read()?;
        tiles.insert(place, hashes);
    }
    Ok(tiles)
}

/// Writes a tile.
///
/// # Errors
/// The database's.
pub async fn set<C: ConnectionTrait>(db: &C, place: Place, hashes: &[Hash]) -> Result<(), Error> {
    execute(
        db,
        "write the transparency log",
        "INSERT INTO log_tiles (level, idx, hashes) VALUES ($1, $2, $3)
         ON CONFLICT (level, idx) DO UPDATE SET hashes = excluded.hashes",
        vec![
            i64::from(place.level).into(),
            number(place.index),
            hex::encode(hashes.as_flattened()).into(),
        ],
    )
    .await
    .map(drop)
}
