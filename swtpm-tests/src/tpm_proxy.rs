//! A proxy before a TPM's ports that sees each command and can flip a bit of a reply: the attacker on the bus. It can also be as slow as hardware.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::BenchError;
use crate::ports::{neighbours, port_of};
use crate::raw_tpm::{CC_QUOTE, exchange, header_word, read_packet};

/// Where in a reply a byte lies.
#[derive(Clone, Copy, Debug)]
pub enum Byte {
    /// Counted from the reply's first byte (its tag), from 0.
    FromStart(usize),
    /// Counted back from the reply's last byte, which is 0.
    FromEnd(usize),
}

/// What a TPM here lacks: it answers commands itself, or has the TPM answer them and does more.
pub trait Firmware: Send + std::fmt::Debug {
    /// The reply to a command of a client. `tpm` is the connection to the TPM behind the proxy, which serves that client.
    fn answer(&mut self, command: &[u8], tpm: &mut TcpStream) -> std::io::Result<Vec<u8>>;
}

/// One bit to flip in every reply to one command.
#[derive(Clone, Copy, Debug)]
pub struct Flip {
    /// The command code whose replies change.
    pub command: u32,
    /// The byte.
    pub byte: Byte,
    /// The bit in it, 0 to 7.
    pub bit: u8,
}

/// A running proxy; it ends with the value.
#[derive(Debug)]
pub struct TpmProxy {
    port: u16,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    log: Mutex<Vec<u32>>,
    flip: Mutex<Option<Flip>>,
    flipped: Mutex<usize>,
    hangs: AtomicBool,
    signing: Mutex<Duration>,
    clients: Mutex<Vec<TcpStream>>,
    stop: AtomicBool,
    firmware: Mutex<Option<Box<dyn Firmware>>>,
}

impl TpmProxy {
    /// Stands before the TPM whose command port is `tpm` and whose control port is the next one, at two neighbouring ports of its own.
    pub fn start(tpm: u16) -> Result<Self, BenchError> {
        Self::start_shared(tpm, Shared::default())
    }

    /// The same, with what the TPM lacks. It stays from connection to connection.
    pub fn start_with(tpm: u16, firmware: Box<dyn Firmware>) -> Result<Self, BenchError> {
        Self::start_shared(tpm, Shared { firmware: Mutex::new(Some(firmware)), ..Shared::default() })
    }

    fn start_shared(tpm: u16, shared: Shared) -> Result<Self, BenchError> {
        let (commands, control) = neighbours()?;
        let port = port_of(&commands)?;
        let shared = Arc::new(shared);
        let for_commands = Arc::clone(&shared);
        let for_control = Arc::clone(&shared);
        let threads = vec![
            std::thread::spawn(move || for_commands.accept(&commands, tpm, Shared::relay_commands)),
            std::thread::spawn(move || for_control.accept(&control, tpm + 1, Shared::relay_bytes)),
        ];
        Ok(Self { port, shared, threads })
    }

    /// The proxy's command port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How a TPM software stack names the TPM behind this proxy.
    pub fn tcti(&self) -> String {
        crate::swtpm::tcti(self.port)
    }

    /// The command codes that passed so far, in order.
    pub fn seen(&self) -> Vec<u32> {
        lock(&self.shared.log).clone()
    }

    /// From now on flips this bit, or none.
    pub fn flip(&self, flip: Option<Flip>) {
        *lock(&self.shared.flip) = flip;
    }

    /// From now on takes commands and answers none, or answers again. A connection that was left without an answer never gets one.
    pub fn hang(&self, hangs: bool) {
        self.shared.hangs.store(hangs, Ordering::SeqCst);
    }

    /// From now on a TPM2_Quote takes so much longer, as a TPM made of hardware does; what else is asked meanwhile waits.
    pub fn slow(&self, signing: Duration) {
        *lock(&self.shared.signing) = signing;
    }

    /// How often a command passed so far.
    pub fn count(&self, command: u32) -> usize {
        lock(&self.shared.log).iter().filter(|seen| **seen == command).count()
    }

    /// How many replies were changed so far: an attack that never took place proves nothing.
    pub fn flipped(&self) -> usize {
        *lock(&self.shared.flipped)
    }
}

impl Drop for TpmProxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for client in lock(&self.shared.clients).drain(..) {
            let _ = client.shutdown(std::net::Shutdown::Both);
        }
        for port in [self.port, self.port + 1] {
            let _wakes_accept = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// One client at a time, as swtpm has it. A client that goes away ends its relay with an error, which is no news.
    fn accept(&self, listener: &TcpListener, upstream: u16, relay: fn(&Self, TcpStream, TcpStream) -> std::io::Result<()>) {
        for client in listener.incoming() {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let _client_went_away = client.and_then(|client| {
                client.set_nodelay(true)?;
                lock(&self.clients).push(client.try_clone()?);
                if self.stop.load(Ordering::SeqCst) {
                    return Ok(());
                }
                let tpm = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream))?;
                tpm.set_nodelay(true)?;
                relay(self, client, tpm)
            });
            lock(&self.clients).clear();
        }
    }

    fn relay_commands(&self, mut client: TcpStream, mut tpm: TcpStream) -> std::io::Result<()> {
        loop {
            let command = read_packet(&mut client)?;
            let code = header_word(&command, 6);
            lock(&self.log).push(code);
            if self.hangs.load(Ordering::SeqCst) {
                // Until the client gives up.
                std::io::copy(&mut client, &mut std::io::sink())?;
                return Ok(());
            }
            let mut reply = match lock(&self.firmware).as_mut() {
                Some(firmware) => firmware.answer(&command, &mut tpm)?,
                None => exchange(&mut tpm, &command)?,
            };
            if code == CC_QUOTE {
                std::thread::sleep(*lock(&self.signing));
            }
            self.tamper(code, &mut reply);
            client.write_all(&reply)?;
        }
    }

    fn relay_bytes(&self, client: TcpStream, tpm: TcpStream) -> std::io::Result<()> {
        let (mut from_tpm, mut to_client) = (tpm.try_clone()?, client.try_clone()?);
        let back = std::thread::spawn(move || {
            let _ = std::io::copy(&mut from_tpm, &mut to_client);
            to_client.shutdown(std::net::Shutdown::Both)
        });
        let (mut from_client, mut to_tpm) = (client, tpm);
        let _ = std::io::copy(&mut from_client, &mut to_tpm);
        let _ = to_tpm.shutdown(std::net::Shutdown::Both);
        let _ = back.join();
        Ok(())
    }

    fn tamper(&self, code: u32, reply: &mut [u8]) {
        let Some(flip) = lock(&self.flip).filter(|flip| flip.command == code) else { return };
        let at = match flip.byte {
            Byte::FromStart(offset) => Some(offset),
            Byte::FromEnd(offset) => reply.len().checked_sub(offset + 1),
        };
        if let Some(byte) = at.and_then(|at| reply.get_mut(at)) {
            *byte ^= 1 << flip.bit;
            *lock(&self.flipped) += 1;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
