//! What stands beside Check on the same port: `grpc.health.v1` and, where asked for, reflection.

use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::proto_json;

/// The name under which the proxy may ask for the health of this service alone.
const SERVICE: &str = "envoy.service.auth.v3.Authorization";

/// The other services, cheap to clone.
#[derive(Debug, Clone)]
pub struct OtherServices(Routes);

/// Sets what `grpc.health.v1` says.
#[derive(Clone)]
pub struct Health(HealthReporter);

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Health")
    }
}

impl OtherServices {
    /// Health, not serving yet, and reflection where asked for.
    ///
    /// # Errors
    /// Where the checked-in descriptors cannot be read.
    pub async fn new(reflection: bool) -> Result<(Health, Self), tonic_reflection::server::Error> {
        let (reporter, health) = tonic_health::server::health_reporter();
        let health_of = Health(reporter);
        health_of.not_serving().await;
        let mut routes = Routes::new(health);
        if reflection {
            let builder = || {
                tonic_reflection::server::Builder::configure()
                    .register_encoded_file_descriptor_set(proto_json::FILE_DESCRIPTOR_SET)
                    .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                    .with_service_name(SERVICE)
            };
            // Most tools in use still ask by the older name of the same protocol.
            routes = routes.add_service(builder().build_v1()?).add_service(builder().build_v1alpha()?);
        }
        Ok((health_of, Self(routes.prepare())))
    }

    /// The routes, for one call.
    pub(super) fn routes(&self) -> Routes {
        self.0.clone()
    }
}

impl Health {
    /// Policy and keys are there.
    pub async fn serving(&self) {
        self.set(ServingStatus::Serving).await;
    }

    /// Not there yet, or shutting down.
    pub async fn not_serving(&self) {
        self.set(ServingStatus::NotServing).await;
    }

    async fn set(&self, status: ServingStatus) {
        for name in ["", SERVICE] {
            self.0.set_service_status(name, status).await;
        }
    }
}
