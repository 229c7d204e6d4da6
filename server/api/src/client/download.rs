//! Downloading a package, from where an earlier try stopped.

use super::{Client, Error, read, send};
use crate::limits::MAX_PROVENANCE_BYTES;
use reqwest::{StatusCode, header};
use sha2::{Digest, Sha256};
use std::io::{Read, Seek, SeekFrom, Write};

/// How often a broken connection is taken up again in one call.
const MAX_TRIES: u32 = 4;

impl Client {
    /// `GET /packages/{sha256}`: completes `into`, which holds nothing or the
    /// beginning that an earlier call has left, and returns the package's size in
    /// bytes. No more than `max_bytes` are taken, and the digest of all of it is
    /// checked.
    ///
    /// # Errors
    /// See [`Error`]. After [`Error::Digest`] or [`Error::TooLarge`] throw away
    /// what was written; after any other, what is there may be completed later.
    pub async fn download_package<W: Read + Write + Seek>(
        &self,
        sha256: &str,
        max_bytes: u64,
        into: &mut W,
    ) -> Result<u64, Error> {
        let (mut hash, mut bytes) = digest_of(into)?;
        for attempt in 1.. {
            let result = self
                .continue_download(sha256, max_bytes, into, &mut hash, &mut bytes)
                .await;
            match result {
                Err(Error::Send { .. }) if attempt < MAX_TRIES => {
                    tokio::time::sleep(std::time::Duration::from_millis(200 << attempt)).await;
                }
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        into.flush().map_err(Error::Keep)?;
        let found = hex::encode(hash.finalize());
        if found == sha256 {
            return Ok(bytes);
        }
        Err(Error::Digest {
            expected: sha256.to_owned(),
            found,
        })
    }

    /// `GET /packages/{sha256}/provenance`: where a package comes from, in an
    /// envelope whose signature is still to be verified.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn provenance(&self, sha256: &str) -> Result<Vec<u8>, Error> {
        let operation = "download the provenance";
        let request = self.get(&format!("/packages/{sha256}/provenance"));
        let response = send(operation, request).await?;
        read(operation, response, MAX_PROVENANCE_BYTES).await
    }

    async fn continue_download<W: Write>(
        &self,
        sha256: &str,
        max_bytes: u64,
        into: &mut W,
        hash: &mut Sha256,
        bytes: &mut u64,
    ) -> Result<(), Error> {
        let operation = "download the package";
        let mut request = self.get(&format!("/packages/{sha256}"));
        if *bytes > 0 {
            request = request.header(header::RANGE, format!("bytes={bytes}-"));
        }
        let mut response = match send(operation, request).await {
            // Nothing is missing, if the digest agrees.
            Err(Error::Problem { problem, .. }) if problem.status == 416 => return Ok(()),
            other => other?,
        };
        if *bytes > 0 && response.status() != StatusCode::PARTIAL_CONTENT {
            return Err(Error::Answer {
                operation,
                reason: format!("asked for the bytes from {bytes}, it sent all"),
            });
        }
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|cause| Error::Send { operation, cause })?
        {
            if *bytes + chunk.len() as u64 > max_bytes {
                return Err(Error::TooLarge {
                    sha256: sha256.to_owned(),
                    limit: max_bytes,
                });
            }
            into.write_all(&chunk).map_err(Error::Keep)?;
            hash.update(&chunk);
            *bytes += chunk.len() as u64;
        }
        Ok(())
    }
}

/// Digest and size of what `file` holds; leaves it at its end.
fn digest_of<R: Read + Seek>(file: &mut R) -> Result<(Sha256, u64), Error> {
    file.seek(SeekFrom::Start(0)).map_err(Error::Keep)?;
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = file.read(&mut buffer).map_err(Error::Keep)?;
        if count == 0 {
            return Ok((hash, bytes));
        }
        hash.update(&buffer[..count]);
        bytes += count as u64;
    }
}
