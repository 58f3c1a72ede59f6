#![deny(warnings)]

use workflow_runtime::{Result, workflow};

#[workflow]
async fn prints(order: u32) -> Result<()> {
    println!("order {order}");
    let _order = dbg!(order);
    let _place = format!("{:p}", &order);
    let _number = &order as *const u32 as usize;
    Ok(())
}

fn main() {}
