//! Helpers of every form that `#[durable]` takes.

use std::fmt::Display;

use workflow_runtime::{DurableFuture, Result, durable, workflow};

use super::combinators::add_one;

#[derive(Debug)]
struct Cart {
    name: String,
    numbers: Vec<u32>,
}

trait Priced {
    /// By hand.
    fn price(&self) -> impl DurableFuture<Output = Result<u32>> + Send;

    /// By the attribute, with a body that may be replaced.
    #[durable]
    async fn twice(&self) -> Result<u32> {
        Ok(self.price().await? + self.price().await?)
    }

    #[durable]
    async fn rest(self, other: &str) -> Result<String>;
}

impl Priced for Cart {
    #[durable]
    async fn price(&self) -> Result<u32> {
        add_one(self.numbers.iter().sum()).await
    }

    #[durable]
    async fn rest(self, other: &str) -> Result<String> {
        Ok(format!("{}{other}{}", self.name, add_one(1).await?))
    }
}

impl Cart {
    /// Borrows, and what it returns is borrowed too.
    #[durable]
    async fn longest<'a>(&'a self, other: &'a str) -> Result<&'a str> {
        let longer = add_one(0).await? as usize * other.len() > self.name.len();
        Ok(if longer { other } else { &self.name })
    }

    #[durable]
    #[must_use = "docs and other attributes are kept"]
    async fn first(&self) -> Option<&u32> {
        self.numbers.first()
    }

    #[durable]
    async fn fill(&mut self, numbers: &[u32]) -> Result<()> {
        for number in numbers {
            self.numbers.push(add_one(*number).await?);
        }
        Ok(())
    }

    #[durable]
    async fn consume(self) -> String {
        self.name
    }

    #[durable]
    async fn renamed(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
}

#[durable]
async fn generic<T, F>(value: T, make: F, plus: impl Fn(u32) -> u32) -> Result<String>
where
    T: Display,
    F: Fn(&T) -> String,
{
    Ok(format!("{}{}", make(&value), add_one(plus(1)).await?))
}

#[durable]
async fn patterns(mut a: u32, (b, c): (u32, u32), [d, ..]: [u32; 3], _: String) -> u32 {
    a += b + c + d;
    a
}

#[durable]
async fn early(number: u32) -> Result<u32> {
    if number > 100 {
        return Ok(0);
    }
    for other in 0..3 {
        if other == number {
            return Ok(other);
        }
    }
    let got: u32 = add_one(number).await?;
    Ok(got)
}

#[durable]
async fn opaque(numbers: Vec<u32>) -> Result<impl Iterator<Item = u32>> {
    let plus = add_one(0).await?;
    Ok(numbers.into_iter().map(move |number| number + plus))
}

#[durable]
async fn nothing() {}

#[tracing::instrument(skip(number), err, ret)]
#[durable]
async fn traced(number: u32) -> Result<u32> {
    add_one(number).await
}

/// Calls itself: the call is boxed.
#[durable]
async fn counted(number: u32) -> Result<u32> {
    if number == 0 { add_one(0).await } else { Ok(1 + Box::pin(counted(number - 1)).await?) }
}

#[durable]
async fn configured(
    #[cfg(any())] _gone: DoesNotExist,
    #[cfg(not(target_os = "none"))] (left, _): (u32, u32),
) -> u32 {
    left
}

impl Cart {
    #[durable]
    async fn boxed(self: Box<Self>, _number: &mut u32) -> usize {
        self.numbers.len()
    }
}

/// `?Sized`, by reference, through a trait object.
#[durable]
async fn through(print: &dyn Fn(u32) -> String) -> Result<String> {
    Ok(print(add_one(0).await?))
}

#[durable]
#[cfg(any())]
async fn gone(number: DoesNotExist) {}

/// Its parameters are dropped when it ends, whether it uses them or not.
#[durable]
async fn holds(_unused: OnDrop<'_>, order: &std::cell::RefCell<Vec<&'static str>>) {
    nothing().await;
    order.borrow_mut().push("body");
}

struct OnDrop<'a>(&'a std::cell::RefCell<Vec<&'static str>>);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().push("argument");
    }
}

#[tracing::instrument]
#[workflow]
pub(super) async fn helped(number: u32) -> Result<Vec<String>> {
    let mut cart = Cart { name: "cart".to_owned(), numbers: Vec::new() };
    cart.fill(&[1, 2]).await?;
    let mut all = vec![
        cart.longest("basket").await?.to_owned(),
        format!("{:?}", cart.first().await),
        cart.price().await?.to_string(),
        cart.twice().await?.to_string(),
        generic(1, ToString::to_string, |n| n + 1).await?,
        patterns(1, (2, 3), [4, 5, 6], String::new()).await.to_string(),
        early(number).await?.to_string(),
        opaque(vec![1, 2]).await?.sum::<u32>().to_string(),
        traced(1).await?.to_string(),
        through(&|number| format!("<{number}>")).await?,
    ];
    let cart = cart.renamed("box").await;
    all.push(cart.rest("es").await?);
    all.push(Cart { name: "end".to_owned(), numbers: vec![] }.consume().await);
    all.push(counted(3).await?.to_string());
    let boxed = Box::new(Cart { name: String::new(), numbers: vec![1] }).boxed(&mut 1).await;
    all.push(format!("{boxed}{}", configured((1, 2)).await));
    let order = std::cell::RefCell::default();
    let held = holds(OnDrop(&order), &order);
    order.borrow_mut().push("made");
    held.await;
    all.push(order.take().join(" "));
    Ok(all)
}
