//! A network that fails as it is told to: between a test's workers and their
//! database, in the test's own process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// When a connection is cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cut {
    /// Now, whatever is under way.
    Now,
    /// Before the next request reaches the server.
    BeforeRequest,
    /// When the server has done what it was asked, and before it is heard: a
    /// commit is durable, and nobody knows.
    BeforeReply,
    /// In the middle of what it answers.
    InReply,
}

/// A port that leads to another, as long as it does.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    accepts: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepts.abort();
        self.shared.cut_all();
    }
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    target: u16,
    /// Nothing passes, and nobody is told.
    is_dark: bool,
    /// Each piece takes so long.
    delay: Duration,
    /// Bytes of one piece. 0: as many as come.
    piece: usize,
    next: u64,
    connections: BTreeMap<u64, Connection>,
    /// Cuts that came about.
    cuts: u64,
}

#[derive(Debug)]
struct Connection {
    cut: Option<Cut>,
    /// Something was asked and not answered.
    is_asking: bool,
    ends: Arc<Notify>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cut_all(&self) {
        for connection in self.state().connections.values_mut() {
            connection.cut = Some(Cut::Now);
            connection.ends.notify_one();
        }
    }

    async fn passes(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let delay = {
                let state = self.state();
                (!state.is_dark).then_some(state.delay)
            };
            if let Some(delay) = delay {
                pause(delay).await;
                return;
            }
            changed.await;
        }
    }

    fn piece(&self) -> usize {
        match self.state().piece {
            0 => usize::MAX,
            piece => piece,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a network takes real time")]
async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

impl Proxy {
    /// Leads to a port on this machine.
    ///
    /// # Panics
    ///
    /// There is no port left.
    #[expect(clippy::expect_used, reason = "a test without a port is over")]
    pub async fn to(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let shared = Arc::new(Shared::default());
        shared.state().target = target;
        let accepts = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { port, shared, accepts }
    }

    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// New connections lead to that port.
    pub fn lead_to(&self, target: u16) {
        self.shared.state().target = target;
    }

    /// Cuts one connection, chosen by that number: at a moment of what it asks
    /// next. False: there is none.
    #[expect(clippy::must_use_candidate, reason = "a cut that hits nothing is none")]
    pub fn cut(&self, which: u64, how: Cut) -> bool {
        let mut state = self.shared.state();
        // Of those that are asking something, if there are any.
        let asking = state.connections.iter().filter(|(_, connection)| connection.is_asking);
        let mut choice: Vec<u64> = asking.map(|(number, _)| *number).collect();
        if choice.is_empty() {
            choice = state.connections.keys().copied().collect();
        }
        let Some(number) = which.checked_rem(choice.len() as u64) else { return false };
        let chosen = usize::try_from(number).ok().and_then(|number| choice.get(number));
        let Some(connection) = chosen.and_then(|number| state.connections.get_mut(number)) else {
            return false;
        };
        connection.cut = Some(how);
        if how == Cut::Now {
            connection.ends.notify_one();
        }
        true
    }

    /// Cuts all connections.
    pub fn cut_all(&self) {
        self.shared.cut_all();
    }

    /// How many cuts came about.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.shared.state().cuts
    }

    /// Nothing passes until it is light again; what was sent arrives then.
    pub fn dark(&self, is_dark: bool) {
        self.shared.state().is_dark = is_dark;
        self.shared.changed.notify_waiters();
    }

    /// Pieces of so many bytes, each that much later; 0 and zero: as it comes.
    pub fn slow(&self, piece: usize, delay: Duration) {
        let mut state = self.shared.state();
        (state.piece, state.delay) = (piece, delay);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(serve(client, Arc::clone(&shared)));
    }
}

async fn serve(client: TcpStream, shared: Arc<Shared>) {
    shared.passes().await;
    let target = shared.state().target;
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let _faster = (client.set_nodelay(true), server.set_nodelay(true));
    // Dropped, both are reset: what is not sent yet never is.
    let _reset = (client.set_zero_linger(), server.set_zero_linger());
    let ends = Arc::new(Notify::new());
    let number = {
        let mut state = shared.state();
        state.next += 1;
        let number = state.next;
        let ends = Arc::clone(&ends);
        state.connections.insert(number, Connection { cut: None, is_asking: false, ends });
        number
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let was_cut = tokio::select! {
        cut = requests(&shared, number, from_client, to_server) => cut,
        cut = replies(&shared, number, from_server, to_client) => cut,
        () = ends.notified() => true,
    };
    let mut state = shared.state();
    state.connections.remove(&number);
    state.cuts += u64::from(was_cut);
}

/// From the client to the server, until one of them ends (false) or it is cut.
async fn requests(
    shared: &Shared,
    number: u64,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
) -> bool {
    let mut buffer = vec![0; 64 << 10];
    let mut requests = Requests::default();
    loop {
        let read = match from.read(&mut buffer).await {
            Ok(read) if read > 0 => read,
            _ => return false,
        };
        let is_whole = requests.ends(&buffer[..read]);
        shared.passes().await;
        let cut = {
            let mut state = shared.state();
            let Some(connection) = state.connections.get_mut(&number) else { return true };
            connection.is_asking |= is_whole;
            connection.cut
        };
        if cut == Some(Cut::BeforeRequest) && is_whole {
            return true;
        }
        for piece in buffer[..read].chunks(shared.piece()) {
            shared.passes().await;
            if to.write_all(piece).await.is_err() {
                return false;
            }
        }
    }
}

/// From the server to the client, until one of them ends (false) or it is cut.
async fn replies(
    shared: &Shared,
    number: u64,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
) -> bool {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = match from.read(&mut buffer).await {
            Ok(read) if read > 0 => read,
            _ => return false,
        };
        // The end of an answer: ready for the next question, in no transaction.
        let is_done = buffer[..read].ends_with(b"Z\0\0\0\x05I");
        let cut = {
            let mut state = shared.state();
            let Some(connection) = state.connections.get_mut(&number) else { return true };
            connection.is_asking &= !is_done;
            connection.cut.filter(|_| is_done)
        };
        let passes = match cut {
            Some(Cut::BeforeReply) => return true,
            Some(Cut::InReply) => read / 2,
            Some(Cut::Now | Cut::BeforeRequest) | None => read,
        };
        shared.passes().await;
        for piece in buffer[..passes].chunks(shared.piece()) {
            shared.passes().await;
            if to.write_all(piece).await.is_err() {
                return false;
            }
        }
        if cut == Some(Cut::InReply) {
            return true;
        }
    }
}

/// Finds the ends of requests in what a client sends.
#[derive(Debug, Default)]
struct Requests {
    /// Of a message of which not all is there.
    head: Vec<u8>,
    /// Bytes of it that are left.
    left: usize,
    has_begun: bool,
}

impl Requests {
    /// Whether the end of a request is in these bytes: `Sync`, or a query by
    /// itself.
    fn ends(&mut self, bytes: &[u8]) -> bool {
        let (mut at, mut ends) = (0, false);
        while at < bytes.len() {
            if self.left > 0 {
                let passed = self.left.min(bytes.len() - at);
                (at, self.left) = (at + passed, self.left - passed);
                continue;
            }
            self.head.push(bytes[at]);
            at += 1;
            // Before it has begun, messages have no kind.
            let kind = usize::from(self.has_begun);
            let Some(&[a, b, c, d]) = self.head.get(kind..kind + 4) else { continue };
            self.left = (u32::from_be_bytes([a, b, c, d]) as usize).saturating_sub(4);
            ends |= self.has_begun && matches!(self.head[0], b'S' | b'Q');
            // A request for encryption has 8 bytes; what follows begins again.
            self.has_begun |= self.left != 4;
            self.head.clear();
        }
        ends
    }
}
