//! The rarer messages of a `CheckRequest` as the document shows them.
//!
//! OPA-Envoy walks a message by reflection: names in lower camel case, zero scalars and empty collections left out but
//! set oneof members kept, enums as numbers, `Any` raw, `Struct` as the JSON it stands for.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::google::protobuf;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value as Json;

/// `envoy.config.core.v3.Metadata`.
pub(super) fn shown(metadata: core::Metadata) -> Json {
    let core::Metadata { filter_metadata, typed_filter_metadata } = metadata;
    let mut shown = Map::new();
    set_map(&mut shown, "filterMetadata", filter_metadata, structure);
    set_map(&mut shown, "typedFilterMetadata", typed_filter_metadata, any);
    Json::Object(shown)
}

/// `envoy.config.core.v3.Address`, whichever kind it is.
pub(super) fn address(address: Option<core::address::Address>) -> Json {
    let mut shown = Map::new();
    match address {
        None => {}
        Some(core::address::Address::SocketAddress(address)) => {
            shown.insert("socketAddress".to_owned(), socket_address(address));
        }
        Some(core::address::Address::Pipe(core::Pipe { path, mode })) => {
            let mut pipe = Map::new();
            set(&mut pipe, "path", path);
            if mode != 0 {
                pipe.insert("mode".to_owned(), mode.into());
            }
            shown.insert("pipe".to_owned(), pipe.into());
        }
        Some(core::address::Address::EnvoyInternalAddress(address)) => {
            shown.insert("envoyInternalAddress".to_owned(), internal_address(address));
        }
    }
    Json::Object(shown)
}

fn socket_address(address: core::SocketAddress) -> Json {
    use core::socket_address::PortSpecifier;
    let core::SocketAddress {
        protocol,
        address,
        resolver_name,
        ipv4_compat,
        network_namespace_filepath,
        port_specifier,
    } = address;
    let mut shown = Map::new();
    if protocol != 0 {
        shown.insert("protocol".to_owned(), protocol.into());
    }
    set(&mut shown, "address", address);
    match port_specifier {
        None => {}
        Some(PortSpecifier::PortValue(port)) => {
            shown.insert("portValue".to_owned(), port.into());
        }
        Some(PortSpecifier::NamedPort(name)) => {
            shown.insert("namedPort".to_owned(), name.into());
        }
    }
    set(&mut shown, "resolverName", resolver_name);
    if ipv4_compat {
        shown.insert("ipv4Compat".to_owned(), true.into());
    }
    set(&mut shown, "networkNamespaceFilepath", network_namespace_filepath);
    Json::Object(shown)
}

fn internal_address(address: core::EnvoyInternalAddress) -> Json {
    use core::envoy_internal_address::AddressNameSpecifier;
    let core::EnvoyInternalAddress { endpoint_id, address_name_specifier } = address;
    let mut shown = Map::new();
    if let Some(AddressNameSpecifier::ServerListenerName(name)) = address_name_specifier {
        shown.insert("serverListenerName".to_owned(), name.into());
    }
    set(&mut shown, "endpointId", endpoint_id);
    Json::Object(shown)
}

fn any(any: protobuf::Any) -> Json {
    let protobuf::Any { type_url, value } = any;
    let mut shown = Map::new();
    set(&mut shown, "typeUrl", type_url);
    set(&mut shown, "value", STANDARD.encode(value));
    Json::Object(shown)
}

fn structure(structure: protobuf::Struct) -> Json {
    structure.fields.into_iter().map(|(name, field)| (name, value(field))).collect()
}

fn value(value: protobuf::Value) -> Json {
    use protobuf::value::Kind;
    match value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::NumberValue(float)) => number(float),
        Some(Kind::StringValue(text)) => Json::String(text),
        Some(Kind::BoolValue(truth)) => Json::Bool(truth),
        Some(Kind::StructValue(fields)) => structure(fields),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(self::value).collect(),
    }
}

/// The shortest decimal, so that 1.0 stands as `1`; what JSON cannot write stands as the text that Go's
/// `structpb.Value.AsInterface` gives.
fn number(float: f64) -> Json {
    if float.is_nan() {
        return Json::String("NaN".to_owned());
    }
    if float.is_infinite() {
        return Json::String(if float > 0.0 { "Infinity" } else { "-Infinity" }.to_owned());
    }
    float.to_string().parse::<Number>().map_or(Json::Null, Json::Number)
}

fn set(shown: &mut Map<String, Json>, key: &str, value: String) {
    if !value.is_empty() {
        shown.insert(key.to_owned(), Json::String(value));
    }
}

fn set_map<T>(shown: &mut Map<String, Json>, key: &str, map: HashMap<String, T>, show: fn(T) -> Json) {
    if !map.is_empty() {
        shown.insert(key.to_owned(), map.into_iter().map(|(name, value)| (name, show(value))).collect());
    }
}
