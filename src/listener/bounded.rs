//! The streams of HTTP/3, of which no more is read than there is room for.
//!
//! `h3` keeps a frame until all of it is there, and only then looks whether it is longer than the head
//! of a request may be; QUIC grants a client more as soon as something was read. So the octets are
//! counted in between: those of one stream, and those of all streams that a connection has open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use h3::error::Code;
use h3::quic::{
    self, BidiStream, ConnectionErrorIncoming, OpenStreams, RecvStream, SendStream,
    StreamErrorIncoming, StreamId, WriteBuf,
};
use hyper::body::Buf;

/// A connection, or what opens its streams.
pub(super) struct Bounded<T> {
    inner: T,
    room: Room,
    /// Octets that were read of all its streams that are open.
    all: Arc<AtomicUsize>,
}

/// Octets that may be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Of one stream.
    pub(super) stream: usize,
    /// Of all streams that are open at a time.
    pub(super) all: usize,
}

/// A stream of such a connection.
pub(super) struct Stream<T> {
    inner: T,
    read: Count,
}

/// What was read of one stream; forgotten when that is gone.
struct Count {
    read: usize,
    room: Room,
    all: Arc<AtomicUsize>,
}

impl<T> Bounded<T> {
    /// `inner`, with so much `room`.
    pub(super) fn new(inner: T, room: Room) -> Self {
        Self {
            inner,
            room,
            all: Arc::default(),
        }
    }

    fn stream<S>(&self, inner: S) -> Stream<S> {
        Stream {
            inner,
            read: Count {
                read: 0,
                room: self.room,
                all: Arc::clone(&self.all),
            },
        }
    }
}

impl Count {
    /// Whether `octets` more may be read.
    fn add(&mut self, octets: usize) -> bool {
        self.read += octets;
        let all = self.all.fetch_add(octets, Ordering::Relaxed) + octets;
        self.read <= self.room.stream && all <= self.room.all
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.all.fetch_sub(self.read, Ordering::Relaxed);
    }
}

impl<T: RecvStream> RecvStream for Stream<T> {
    type Buf = T::Buf;

    fn poll_data(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Self::Buf>, StreamErrorIncoming>> {
        let chunk = ready!(self.inner.poll_data(context))?;
        let octets = chunk.as_ref().map_or(0, Buf::remaining);
        if self.read.add(octets) {
            return Poll::Ready(Ok(chunk));
        }
        let error_code = Code::H3_EXCESSIVE_LOAD.value();
        self.inner.stop_sending(error_code);
        Poll::Ready(Err(StreamErrorIncoming::StreamTerminated { error_code }))
    }

    fn stop_sending(&mut self, error_code: u64) {
        self.inner.stop_sending(error_code);
    }

    fn recv_id(&self) -> StreamId {
        self.inner.recv_id()
    }
}

impl<B: Buf, T: SendStream<B>> SendStream<B> for Stream<T> {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.inner.poll_ready(context)
    }

    fn send_data<D: Into<WriteBuf<B>>>(&mut self, data: D) -> Result<(), StreamErrorIncoming> {
        self.inner.send_data(data)
    }

    fn poll_finish(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.inner.poll_finish(context)
    }

    fn reset(&mut self, reset_code: u64) {
        self.inner.reset(reset_code);
    }

    fn send_id(&self) -> StreamId {
        self.inner.send_id()
    }
}

impl<B: Buf, T: BidiStream<B>> BidiStream<B> for Stream<T> {
    type SendStream = T::SendStream;
    type RecvStream = Stream<T::RecvStream>;

    fn split(self) -> (Self::SendStream, Self::RecvStream) {
        let (send, inner) = self.inner.split();
        let read = self.read;
        (send, Stream { inner, read })
    }
}

impl<B: Buf, T: OpenStreams<B>> OpenStreams<B> for Bounded<T> {
    type BidiStream = Stream<T::BidiStream>;
    type SendStream = T::SendStream;

    fn poll_open_bidi(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::BidiStream, StreamErrorIncoming>> {
        let stream = ready!(self.inner.poll_open_bidi(context))?;
        Poll::Ready(Ok(self.stream(stream)))
    }

    fn poll_open_send(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::SendStream, StreamErrorIncoming>> {
        self.inner.poll_open_send(context)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        self.inner.close(code, reason);
    }
}

impl<B: Buf, T: quic::Connection<B>> quic::Connection<B> for Bounded<T> {
    type RecvStream = Stream<T::RecvStream>;
    type OpenStreams = Bounded<T::OpenStreams>;

    fn poll_accept_recv(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::RecvStream, ConnectionErrorIncoming>> {
        let stream = ready!(self.inner.poll_accept_recv(context))?;
        Poll::Ready(Ok(self.stream(stream)))
    }

    fn poll_accept_bidi(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::BidiStream, ConnectionErrorIncoming>> {
        let stream = ready!(self.inner.poll_accept_bidi(context))?;
        Poll::Ready(Ok(self.stream(stream)))
    }

    fn opener(&self) -> Self::OpenStreams {
        Bounded {
            inner: self.inner.opener(),
            room: self.room,
            all: Arc::clone(&self.all),
        }
    }
}
