//! `up`, `down` and `rekey`.

use super::output::{harmless, print};
use super::{Failure, Socket, at_once};
use clap::Args;
use tidegate::vici::{Client, Message};

#[derive(Args)]
pub(super) struct Arguments {
    /// A connection, or a child of one
    name: String,
    /// Gives up waiting after this many seconds; what was begun goes on
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u32>,
    #[command(flatten)]
    socket: Socket,
}

/// Brings something up, and shows on the way what happens.
pub(super) async fn up(arguments: &Arguments) -> Result<(), Failure> {
    let mut client = arguments.socket.connect().await?;
    let request = request(&mut client, arguments).await?;
    carry_out(&mut client, "initiate", &request).await?;
    print(&format!("{} is up\n", harmless(&arguments.name)))
}

/// Takes something down.
pub(super) async fn down(arguments: &Arguments) -> Result<(), Failure> {
    let mut client = arguments.socket.connect().await?;
    let request = request(&mut client, arguments).await?;
    let answer = carry_out(&mut client, "terminate", &request).await?;
    print(&format!("{} is down: {}\n", harmless(&arguments.name), count(&answer, "closed")))
}

/// Makes new keys.
pub(super) async fn rekey(arguments: &Arguments) -> Result<(), Failure> {
    let mut client = arguments.socket.connect().await?;
    let request = request(&mut client, arguments).await?;
    let answer = client.request("rekey", &request).await?;
    print(&format!("{} has new keys: {}\n", harmless(&arguments.name), count(&answer, "rekeyed")))
}

/// The name of a connection is what is meant, where there is one of that name, else that of a child.
async fn request(client: &mut Client, arguments: &Arguments) -> Result<Message, Failure> {
    let loaded = at_once(client.request("get-conns", &Message::new())).await?;
    let is_connection = loaded.list("conns").any(|name| name == arguments.name);
    let mut request = Message::new().with(if is_connection { "ike" } else { "child" }, &arguments.name);
    request.put_some("timeout", arguments.timeout.map(|seconds| u64::from(seconds) * 1000));
    Ok(request)
}

async fn carry_out(client: &mut Client, command: &str, request: &Message) -> Result<Message, Failure> {
    let mut written = Ok(());
    let each = |line: Message| {
        let text = harmless(line.text("msg").unwrap_or_default());
        let name = line.text("ikesa-name").map(|name| format!("{}: ", harmless(name)));
        // What was asked for is done even if nobody looks.
        if written.is_ok() {
            written = print(&format!("{}{text}\n", name.unwrap_or_default()));
        }
    };
    let answer = client.stream(command, "control-log", request, each).await?;
    written.map(|()| answer)
}

fn count(answer: &Message, done: &str) -> String {
    match answer.text("matches") {
        Some("1") => format!("1 SA {done}"),
        Some(count) => format!("{count} SAs {done}"),
        None => done.to_owned(),
    }
}
