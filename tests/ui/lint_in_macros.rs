use workflow_runtime::{Result, step, workflow};

#[step]
async fn ship(order: u32) -> Result<u32> {
    Ok(order)
}

#[workflow]
async fn select_handlers(order: u32) -> Result<bool> {
    workflow::select! {
        shipped = ship(order) => {
            let late = std::time::SystemTime::now();
            Ok(late.elapsed().is_ok() && shipped.is_ok())
        }
        shipped = ship(2) => Ok(shipped.is_ok()),
    }
}

macro_rules! own_grammar {
    (maybe $value:expr) => {
        $value
    };
}

#[workflow]
async fn tokens_of_another_grammar() -> Result<bool> {
    Ok(own_grammar!(maybe std::time::Instant::now()).elapsed().is_zero())
}

#[workflow]
async fn closures() -> Result<bool> {
    let late = |limit| std::time::SystemTime::now() > limit;
    Ok(late(std::time::SystemTime::UNIX_EPOCH))
}

fn main() {}
