//! DNS over QUIC (RFC 9250): one question on each stream.

use std::io;
use std::sync::Arc;

use quinn::{Connection, ReadToEndError, RecvStream, SendStream, VarInt};
use tokio::time::timeout;
use tracing::debug;

use super::http;
use super::https::Visit;
use super::stream::{MAX_MESSAGE, WRITE_PATIENCE};
use crate::message::{Decoded, Query};

/// Why a stream or a connection is ended (RFC 9250 section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing is wrong.
    No,
    /// The client does what it must not.
    Protocol,
    /// It asks for more than there is room for.
    ExcessiveLoad,
    /// Something else.
    Unspecified,
}

impl Fault {
    pub(super) const fn code(self) -> VarInt {
        VarInt::from_u32(match self {
            Self::No => 0,
            Self::Protocol => 2,
            Self::ExcessiveLoad => 4,
            Self::Unspecified => 5,
        })
    }
}

/// Answers the questions of one connection.
///
/// # Errors
/// Why it ended before its time.
pub(super) async fn serve(connection: Connection, visit: Arc<Visit>) -> io::Result<()> {
    let pulse = Arc::clone(&visit.pulse);
    let mut stopped = std::pin::pin!(pulse.stopped());
    loop {
        let (send, receive) = tokio::select! {
            accepted = connection.accept_bi() => match accepted {
                Ok(streams) => streams,
                Err(quinn::ConnectionError::ApplicationClosed(_)) => return Ok(()),
                Err(error) => return Err(io::Error::other(error)),
            },
            () = &mut stopped => {
                connection.close(Fault::No.code(), b"");
                return Ok(());
            }
            () = visit.place.give_up.notified() => {
                connection.close(Fault::ExcessiveLoad.code(), b"");
                return Ok(());
            }
        };
        let beat = pulse.begin();
        let (connection, visit) = (connection.clone(), Arc::clone(&visit));
        tokio::spawn(async move {
            let _beat = beat;
            if let Err(fault) = answer(send, receive, &visit).await {
                debug!(client = %visit.origin.client, ?fault, "DNS over QUIC");
                if fault == Fault::Protocol {
                    connection.close(fault.code(), b"");
                }
            }
        });
    }
}

/// Answers the question of one stream.
async fn answer(mut send: SendStream, mut receive: RecvStream, visit: &Visit) -> Result<(), Fault> {
    // The message is whole when the client has ended its side (section 4.2).
    let reading = receive.read_to_end(2 + MAX_MESSAGE);
    let framed = match timeout(visit.patience.message, reading).await {
        Ok(Ok(framed)) => framed,
        Ok(Err(ReadToEndError::TooLong)) | Err(_) => {
            // Neither fails but on a stream that is gone.
            drop(receive.stop(Fault::ExcessiveLoad.code()));
            drop(send.reset(Fault::ExcessiveLoad.code()));
            return Err(Fault::ExcessiveLoad);
        }
        // The client does not want to know any more.
        Ok(Err(ReadToEndError::Read(_))) => return Ok(()),
    };
    let message = whole_message(&framed).ok_or(Fault::Protocol)?;
    let origin = visit.origin;
    let asked = http::ask(message, &origin, visit.transport, &visit.resolver);
    let answered = tokio::select! {
        answered = asked => answered,
        // Nobody waits for it.
        _ = send.stopped() => return Ok(()),
    };
    let (octets, outcome) = answered.ok_or(Fault::Protocol)?;
    let length = u16::try_from(octets.len()).map_err(|_| Fault::Unspecified)?;
    let framed = [&length.to_be_bytes()[..], &octets].concat();
    let Some(framed) = visit.hold(framed) else {
        drop(send.reset(Fault::ExcessiveLoad.code()));
        return Err(Fault::ExcessiveLoad);
    };
    match timeout(WRITE_PATIENCE, send.write_chunk(framed)).await {
        // An error means that the client is gone.
        Ok(Ok(())) => drop(send.finish()),
        Ok(Err(_)) => return Ok(()),
        Err(_) => {
            drop(send.reset(Fault::ExcessiveLoad.code()));
            return Err(Fault::ExcessiveLoad);
        }
    }
    if let Some(outcome) = outcome {
        visit.resolver.record(outcome, visit.resolver.now());
    }
    Ok(())
}

/// The one message of a stream, without its length; none if the client breaks a rule: more or less
/// than one, an id other than 0 (section 4.2.1), a time-out meant for TCP (section 5.5.2).
fn whole_message(framed: &[u8]) -> Option<&[u8]> {
    let (length, message) = framed.split_first_chunk::<2>()?;
    if usize::from(u16::from_be_bytes(*length)) != message.len() || message.get(..2)? != [0, 0] {
        return None;
    }
    let keepalive = match Query::decode(message) {
        Decoded::Ask(query) => query.edns.is_some_and(|edns| edns.keepalive),
        Decoded::Error(_) | Decoded::Silence => false,
    };
    (!keepalive).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_holds_one_message_with_id_zero() {
        let query = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
        let framed = |message: &[u8]| {
            let length = (message.len() as u16).to_be_bytes();
            [&length[..], message].concat()
        };
        assert_eq!(whole_message(&framed(query)), Some(&query[..]));
        let mut with_id = query.to_vec();
        with_id[1] = 1;
        let mut keepalive = query.to_vec();
        keepalive[11] = 1;
        keepalive.extend(b"\0\0\x29\x04\xd0\0\0\0\0\0\x04\0\x0b\0\0");
        let mut short = framed(query);
        short.pop();
        let two = [framed(query), framed(query)].concat();
        for wrong in [
            framed(&with_id),
            framed(&keepalive),
            short,
            two,
            vec![],
            vec![0],
        ] {
            assert_eq!(whole_message(&wrong), None, "{wrong:02x?}");
        }
    }
}
