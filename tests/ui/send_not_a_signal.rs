use workflow_runtime::{Client, Handle, Result, request, signal, workflow};

#[signal]
struct Approval;

#[request(reply = u32)]
struct Add(u32);

struct Plain;

#[workflow]
async fn waits() -> Result<()> {
    workflow::receive::<Plain>().await;
    workflow::requested::<Approval>().await.reply(());
    Ok(())
}

async fn sends(run: Handle<u32>, client: Client) {
    let _ = run.send(Plain).await;
    let _ = run.send(Add(1)).await;
    let _ = client.ask("order-7", Approval).await;
}

fn main() {}
