//! An application for clusters: it keeps one entry in a file, and shows files to who may run a command in its container.
//!
//!     ledger keep FILE TEXT    write the entry, read it back, print it, serve it by HTTP on port 8080 until SIGTERM
//!     ledger note FILE TEXT    the same without serving
//!     ledger show FILE         print a file
//!     ledger fetch ADDRESS     print the entry that another one serves at ADDRESS:PORT

use std::fs;
use std::io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

const PORT: u16 = 8080;

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["keep", file, text] => {
            let mut stop = Signals::new([SIGTERM])?;
            let entry = note(Path::new(file), text)?;
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT))?;
            thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(answer(stream, &entry))));
            stop.forever().next();
            Ok(())
        }
        ["note", file, text] => note(Path::new(file), text).map(drop),
        ["show", file] => io::stdout().write_all(&fs::read(file)?),
        ["fetch", address] => fetch(address),
        _ => Err(Error::new(ErrorKind::InvalidInput, "wanted: keep FILE TEXT, note FILE TEXT, show FILE, or fetch ADDRESS")),
    }
}

fn note(file: &Path, text: &str) -> io::Result<String> {
    fs::write(file, text)?;
    let entry = fs::read_to_string(file)?;
    println!("{entry}");
    Ok(entry)
}

fn fetch(address: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, entry) = answer.split_once("\r\n\r\n").ok_or_else(|| Error::new(ErrorKind::InvalidData, answer.clone()))?;
    println!("{entry}");
    Ok(())
}

/// One answer to any request (RFC 9112), and the connection ends.
fn answer(mut stream: TcpStream, entry: &str) -> io::Result<()> {
    for line in BufReader::new(&stream).lines() {
        if line?.is_empty() {
            break;
        }
    }
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{entry}", entry.len())
}
