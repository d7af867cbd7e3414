//! Who calls, with certificates that SPIRE issued, and forged ones.

use super::super::harness::client::Call;
use super::super::harness::client::Client;
use super::harness::Domains;
use super::harness::Lifetimes;
use super::harness::MESH;

#[tokio::test(flavor = "multi_thread")]
async fn smoke() {
    let domains = Domains::start(Lifetimes::ORDINARY).await;
    let envoy = domains.envoy(&[MESH], &[], "127.0.0.1:1").await;
    let planner = domains.prod.x509_svid("/planner").await.unwrap();
    let client = Client::with_certificate(envoy.listener("mesh"), &planner.bundle, &planner.keyed);
    println!("{:?}", client.try_send(&Call::get("/x")).await);
    let seller = domains.partner.x509_svid("/seller").await.unwrap();
    println!("{}", seller.keyed.certificate);
    let client = Client::with_certificate(envoy.listener("mesh"), &planner.bundle, &seller.keyed);
    println!("{:?}", client.try_send(&Call::get("/x")).await);
    panic!("x");
}
