//! Two servers that share the secret of their DPoP nonces, and what a client with one nonce meets at each.

use serde_json::json;

use crate::ALLOW_GET;
use crate::client::Wire;
use crate::client::request;
use crate::dpop::Client;
use crate::issuer::Issuer;
use crate::server::Server;
use crate::server::eventually;

const SECRET: &str = "c4n4ry-c4n4ry-c4n4ry-c4n4ry-c4n4ry";
const OTHER: &str = "another-another-another-another-another";

/// Asks with this nonce: nothing where it is taken, else the nonce that is asked for.
fn ask(client: &mut Client, server: &Server, nonce: Option<&str>) -> Option<String> {
    let headers = json!({"authorization": format!("DPoP {}", client.token), "dpop": client.proof(nonce)});
    let request = request(&json!({"headers": headers}));
    let answer = Wire::connect(&server.tcp()).check(&request);
    let wanted = answer.denied_header("dpop-nonce");
    assert_eq!(answer.allowed(), Some(wanted.is_none()), "{:?}", server.records().last());
    wanted
}

fn start(issuer: &Issuer, dpop: &str) -> Server {
    let dpop = format!("dpop: {{targets: ['https://orders.example'], nonce: true{dpop}}}\n");
    Server::start(&format!("{}{dpop}routes: {{caller: optional}}\n", issuer.config()), ALLOW_GET)
}

#[test]
fn l17_a_nonce_of_one_process_is_good_with_another_that_has_its_secret() {
    let issuer = Issuer::new();
    let mut client = Client::new(&issuer);
    let shared = format!(", nonce_secret_file: '{}'", issuer.file("nonce.secret", SECRET));
    let (one, another, alone) = (start(&issuer, &shared), start(&issuer, &shared), start(&issuer, ""));
    let nonce = ask(&mut client, &one, None).expect("a challenge");
    for server in [&one, &another] {
        assert_eq!(ask(&mut client, server, Some(&nonce)), None);
    }
    let own = ask(&mut client, &alone, Some(&nonce)).expect("a challenge by one without the secret");
    assert_eq!(ask(&mut client, &alone, Some(&own)), None);

    // Rotated: noticed without a signal, and one challenge more.
    issuer.file("nonce.secret", &format!("{OTHER}\n"));
    for server in [&one, &another] {
        eventually("the secret is read anew", || ask(&mut client, server, Some(&nonce)).is_some());
    }
    let next = ask(&mut client, &one, Some(&nonce)).expect("a challenge");
    assert_eq!(ask(&mut client, &another, Some(&next)), None);

    // Broken: said, and the last good one stays.
    issuer.file("nonce.secret", "c4n4ry");
    eventually("it is told", || one.probe("/readyz").1.contains("dpop.nonce_secret_file"));
    assert!(one.probe("/readyz").1.contains("holds 6 bytes"), "{}", one.probe("/readyz").1);
    assert_eq!(ask(&mut client, &one, Some(&next)), None, "the last good secret stays");
    issuer.file("nonce.secret", SECRET);
    one.hang_up();
    eventually("the first is back", || ask(&mut client, &one, Some(&nonce)).is_none());

    let (config, records) = (one.private("/config").1, format!("{:?}", one.records()));
    assert!(config.contains("nonce.secret\""), "{config}");
    for output in [config, one.log(), records, one.probe("/metrics").1, one.probe("/readyz").1] {
        for secret in ["c4n4ry", OTHER] {
            assert!(!output.contains(secret), "K5: {output}");
        }
    }
}
