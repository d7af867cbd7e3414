//! By the IDs of the threat catalogue: what is held while places are in trouble, and what is believed of them.

mod agent;
mod check;
mod connection;
mod endpoint;
mod endpoint_servers;
mod endpoints;
mod files;
mod issue;
mod kept;
mod once;
mod workload_api;
