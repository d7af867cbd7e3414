//! Rotation, resumption, and the client's side.

use rustls::server::ServerSessionMemoryCache;

use super::*;

#[test]
fn j10_the_next_handshake_uses_the_svid_and_the_bundles_in_force() {
    let world = World::new(&["spiffe://td"]);
    let server = world.server();
    let next_root = Ca::root("td");
    let (old_client, new_client) = (own(&world.root, CLIENT), own(&next_root, CLIENT));
    let (old_server, new_server) = (own(&world.root, SERVER), own(&next_root, SERVER));
    let both = bundles(&[("td", &[&world.root, &next_root])]);
    let knock = |own: &Svid| handshake(&Arc::new(client(SERVER, &both, &TLS13, Some(own))), &server);
    let put = |svid: &Svid, authorities: &[&Ca]| {
        let bundles = bundles(&[("td", authorities)]);
        world.material.store(Arc::new(Material { svid: Some(Arc::new(svid.clone())), bundles }));
    };
    let leaf = |svid: &Svid| svid.chain().next().map(<[u8]>::to_vec);

    // One configuration, made once; before, between and after.
    for (own, authorities, old_good, new_good) in [
        (&old_server, &[&world.root][..], true, false),
        (&old_server, &[&world.root, &next_root], true, true),
        (&new_server, &[&world.root, &next_root], true, true),
        (&new_server, &[&next_root], false, true),
    ] {
        put(own, authorities);
        let (by_old, by_new) = (knock(&old_client), knock(&new_client));
        assert_eq!((by_old.is_good(), by_new.is_good()), (old_good, new_good));
        assert_eq!((&by_old.presented, &by_new.presented), (&leaf(own), &leaf(own)));
    }
    // Nothing in force, nobody to speak for.
    world.material.store(Arc::new(Material::default()));
    assert!(!knock(&new_client).is_good());
}

#[test]
fn i6_an_emptied_bundle_lets_nobody_in() {
    let world = World::new(&["spiffe://td"]);
    let own = own(&world.root, CLIENT);
    assert!(world.knock(Some(&own)).is_good());
    let svid = world.material.load().svid.clone();
    world.material.store(Arc::new(Material { svid, bundles: bundles(&[("td", &[])]) }));
    assert!(matches!(world.knock(Some(&own)).refusal(), Some(PeerError::Chain(_))));
}

#[test]
fn j10_nothing_is_resumed() {
    let world = World::new(&[CLIENT]);
    let own = own(&world.root, CLIENT);
    let server = world.server();
    for version in [&TLS12, &TLS13] {
        let mut config = client(SERVER, &world.trust, version, Some(&own));
        config.resumption = Resumption::in_memory_sessions(8);
        let config = Arc::new(config);
        for _ in 0..3 {
            let outcome = handshake(&config, &server);
            assert!(outcome.is_good());
            assert_eq!((outcome.kind, outcome.version), (Some(HandshakeKind::Full), Some(version.version)));
        }
        // The client would: with a server that remembers, it does.
        let mut remembers = server.clone();
        remembers.session_storage = ServerSessionMemoryCache::new(8);
        remembers.send_tls13_tickets = 2;
        let kinds: Vec<_> = (0..2).map(|_| handshake(&config, &remembers).kind).collect();
        assert_eq!(kinds, [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)]);
    }
}

#[test]
fn j10_a_client_here_resumes_nothing_either() {
    let world = World::new(&[]);
    let mut remembers = server(&world.material, Clients::Anybody);
    remembers.session_storage = ServerSessionMemoryCache::new(8);
    remembers.send_tls13_tickets = 2;
    let config = Arc::new(client(SERVER, &world.trust, &TLS13, None));
    for _ in 0..2 {
        assert_eq!(handshake(&config, &remembers).kind, Some(HandshakeKind::Full));
    }
}

#[test]
fn i8_a_server_is_exactly_the_one_asked_for() {
    let (root, partner, namesake) = (Ca::root("td"), Ca::root("partner"), Ca::root("td"));
    let trust = bundles(&[("td", &[&root]), ("partner", &[&partner])]);
    let expired = svid(&root.sign(SERVER, |params| valid(params, -HOUR, -1)), &[]);
    let ask = |own: &Svid, wanted: &str| {
        let server = server(&in_force(Some(own.clone()), Arc::default()), Clients::Anybody);
        handshake(&Arc::new(client(wanted, &trust, &TLS13, None)), &server).client
    };
    assert_eq!(ask(&own(&root, SERVER), SERVER), Ok(()));
    assert_eq!(ask(&own(&partner, "spiffe://partner/a"), "spiffe://partner/a"), Ok(()));
    for (own, wanted) in [
        (own(&root, "spiffe://td/other"), SERVER),
        (own(&root, SERVER), "spiffe://td/countersign/x"),
        (own(&root, SERVER), "spiffe://td/counter"),
        (own(&partner, "spiffe://partner/countersign"), SERVER),
    ] {
        let found = own.spiffe_id.clone().unwrap();
        let error = ask(&own, wanted).unwrap_err();
        assert_eq!(PeerError::of(&error), Some(&PeerError::OtherServer { found, wanted: id(wanted) }));
    }
    for own in [own(&partner, SERVER), own(&namesake, SERVER)] {
        let error = ask(&own, SERVER).unwrap_err();
        assert!(matches!(PeerError::of(&error), Some(PeerError::Chain(_))), "{error}");
    }
    let stranger = ask(&own(&Ca::root("x"), "spiffe://x/a"), "spiffe://x/a").unwrap_err();
    assert_eq!(PeerError::of(&stranger), Some(&PeerError::NoBundle("x".to_owned())));
    let late = ask(&expired, SERVER).unwrap_err();
    assert!(matches!(PeerError::of(&late), Some(PeerError::Certificate(CertificateError::Expired(_)))));
}

#[test]
fn i8_a_servers_certificate_is_one_for_servers() {
    let root = Ca::root("td");
    let trust = bundles(&[("td", &[&root])]);
    let signed = root.sign(SERVER, |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let server = server(&in_force(Some(svid(&signed, &[])), Arc::default()), Clients::Anybody);
    let error = handshake(&Arc::new(client(SERVER, &trust, &TLS13, None)), &server).client.unwrap_err();
    assert!(matches!(PeerError::of(&error), Some(PeerError::Chain(ChainError::NoPath(_)))), "{error}");
}

#[test]
fn the_configuration_made_for_clients_speaks_both_versions_and_shows_no_certificate() {
    let world = World::new(&[]);
    let mut config = client_config(id(SERVER), Arc::clone(&world.trust)).unwrap();
    config.time_provider = Arc::new(Still);
    assert!(!config.client_auth_cert_resolver.has_certs());
    let outcome = handshake(&Arc::new(config), &server(&world.material, Clients::Anybody));
    assert!(outcome.is_good());
    assert_eq!(outcome.version, Some(ProtocolVersion::TLSv1_3));
}
