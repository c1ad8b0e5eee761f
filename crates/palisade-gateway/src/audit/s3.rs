//! Records as locked objects in a bucket.
//!
//! Each object is a batch of lines, compressed by Zstandard, that ends with a checkpoint: its signature is over everything before it in
//! the chain. Its name holds the hash of what is in it, so whatever stands under that name already is that
//! same batch, and nothing is ever overwritten.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, IF_NONE_MATCH, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::Full;
use jiff::Timestamp;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{
    HttpClient as StoreClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest,
    HttpRequestBody, HttpResponse, HttpResponseBody, HttpService,
};
use palisade_audit::{Batch, Deliver, DeliverError, DeliverErrorKind, Delivered, PublicKey};

use super::http::{Http, HttpClient, refused};
use super::otlp::USER;
use crate::config::{RetentionMode, S3};

/// Puts objects into one bucket.
pub(super) struct Bucket {
    http: Http,
    credentials: AwsCredentialProvider,
    region: String,
    /// With the bucket and the prefix, a slash at its end.
    base: String,
    instance: String,
    retention: Option<Duration>,
    mode: RetentionMode,
}

impl Bucket {
    pub(super) fn new(s3: &S3, key: &PublicKey) -> Result<Self, String> {
        let http = Http::new(s3.ca.as_deref())?;
        let environment = AmazonS3Builder::from_env();
        let known = |key: AmazonS3ConfigKey| environment.get_config_value(&key);
        // An instance's own service is not asked: it stands at an address that a gateway had better not know.
        let given = [
            AmazonS3ConfigKey::AccessKeyId,
            AmazonS3ConfigKey::WebIdentityTokenFile,
            AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
            AmazonS3ConfigKey::ContainerCredentialsFullUri,
        ];
        if given.into_iter().all(|key| known(key).is_none()) {
            return Err("there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE, in the environment".to_owned());
        }
        let region = s3
            .region
            .clone()
            .or_else(|| known(AmazonS3ConfigKey::Region));
        let region = match (region, &s3.endpoint) {
            (Some(region), _) => region,
            // What signs for a store of one's own needs a name all the same.
            (None, Some(_)) => "us-east-1".to_owned(),
            (None, None) => {
                return Err("the bucket's region is not known; add `region = \"eu-central-1\"`, say, or set AWS_REGION".to_owned());
            }
        };
        let store = environment
            .with_bucket_name(&s3.bucket)
            .with_region(&region)
            .with_http_connector(Connector(http.client().clone()))
            .build()
            .map_err(|error| format!("its credentials cannot be used: {error}"))?;
        Ok(Self {
            credentials: store.credentials().clone(),
            base: base(s3, &region),
            http,
            region,
            instance: super::instance(key),
            retention: s3.retention,
            mode: s3.mode,
        })
    }

    fn request(&self, batch: &Batch<'_>, body: &Bytes) -> Result<Request<Full<Bytes>>, String> {
        let hash = digest(&SHA256, body);
        let name = name(&self.instance, batch, &digest(&SHA256, batch.lines));
        let mut request = Request::put(format!("{}{name}", self.base))
            .header(CONTENT_TYPE, "application/zstd")
            .header(USER_AGENT, USER)
            .header(IF_NONE_MATCH, "*")
            // What is locked has to come with a checksum.
            .header("x-amz-sdk-checksum-algorithm", "SHA256")
            .header("x-amz-checksum-sha256", STANDARD.encode(hash));
        if let Some(retention) = self.retention {
            request = request
                .header("x-amz-object-lock-mode", mode(self.mode))
                .header("x-amz-object-lock-retain-until-date", until(retention)?);
        }
        let mut request = request
            .body(HttpRequestBody::empty())
            .map_err(|error| error.to_string())?;
        let credential = self
            .http
            .block_on(self.credentials.get_credential())
            .map_err(|error| format!("there are no credentials: {error}"))?;
        AwsAuthorizer::new(&credential, "s3", &self.region)
            .try_authorize(&mut request, Some(hash.as_ref()))
            .map_err(|error| error.to_string())?;
        Ok(request.map(|_| Full::new(body.clone())))
    }
}

impl Deliver for Bucket {
    fn deliver(&mut self, batch: &Batch<'_>) -> Result<Delivered, DeliverError> {
        let body = zstd::stream::encode_all(batch.lines, ZSTD_LEVEL);
        let request = body
            .map_err(|error| error.to_string())
            .and_then(|body| self.request(batch, &Bytes::from(body)));
        let request = request.map_err(|cause| DeliverError {
            cause: format!("{cause}; mend it, or its settings under `[audit] sink`"),
            kind: DeliverErrorKind::Lasting,
        })?;
        let answer = self.http.send(request)?;
        match answer.status() {
            // A try before this one has come through after all: the name tells what is in it.
            StatusCode::PRECONDITION_FAILED => return Ok(Delivered::default()),
            status if status.is_success() => return Ok(Delivered::default()),
            _ => {}
        }
        let remedy = match answer.status() {
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => {
                "let these credentials do s3:PutObject and s3:PutObjectRetention there"
            }
            StatusCode::NOT_FOUND => "make the bucket, with object lock",
            StatusCode::BAD_REQUEST => {
                "look whether the bucket was made with object lock, and in this region"
            }
            _ => "look at the store",
        };
        Err(refused(&answer, &PASSING, remedy))
    }
}

/// Amazon S3, "Error responses": those that ask to be tried again, and two tries at a time.
const PASSING: [StatusCode; 7] = [
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::CONFLICT,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::BAD_GATEWAY,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::GATEWAY_TIMEOUT,
];

const ZSTD_LEVEL: i32 = 3;

/// Amazon's by the bucket's own name, unless TLS could not tell that; another store's by the path.
fn base(s3: &S3, region: &str) -> String {
    let bucket = &s3.bucket;
    let root = match &s3.endpoint {
        Some(endpoint) => format!("{}/{bucket}", endpoint.to_string().trim_end_matches('/')),
        None if bucket.contains('.') => format!("https://s3.{region}.amazonaws.com/{bucket}"),
        None => format!("https://{bucket}.s3.{region}.amazonaws.com"),
    };
    match s3.prefix.as_str() {
        "" => format!("{root}/"),
        prefix => format!("{root}/{prefix}/"),
    }
}

/// In the order of time, and by day: `2026/11/21/20261121T081012Z-<instance>-<first>-<last>-<hash>.ndjson.zst`.
fn name(instance: &str, batch: &Batch<'_>, hash: &aws_lc_rs::digest::Digest) -> String {
    let stamp = batch.lines.strip_prefix(b"{\"timestamp\":\"");
    let stamp = stamp.and_then(|rest| std::str::from_utf8(rest.get(..24)?).ok());
    let moment = stamp.and_then(|stamp| stamp.parse::<Timestamp>().ok());
    let moment = moment.unwrap_or(Timestamp::UNIX_EPOCH);
    let hash: String = hash.as_ref()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!(
        "{}/{}-{instance}-{:012}-{:012}-{hash}.ndjson.zst",
        moment.strftime("%Y/%m/%d"),
        moment.strftime("%Y%m%dT%H%M%SZ"),
        batch.first,
        batch.last
    )
}

const fn mode(mode: RetentionMode) -> &'static str {
    match mode {
        RetentionMode::Compliance => "COMPLIANCE",
        RetentionMode::Governance => "GOVERNANCE",
    }
}

fn until(retention: Duration) -> Result<String, String> {
    let until = SystemTime::now().checked_add(retention);
    let until = until.and_then(|until| Timestamp::try_from(until).ok());
    let until = until.ok_or("`retention` is longer than calendars go")?;
    Ok(until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// How credentials that have to be fetched are fetched.
#[derive(Debug)]
struct Connector(HttpClient);

impl HttpConnector for Connector {
    fn connect(&self, _: &object_store::ClientOptions) -> object_store::Result<StoreClient> {
        Ok(StoreClient::new(Service(self.0.clone())))
    }
}

#[derive(Debug)]
struct Service(HttpClient);

/// An answer did not come.
#[derive(Debug)]
struct NoAnswer(String);

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoAnswer {}

type Called<'a> = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>>;

impl HttpService for Service {
    fn call<'a, 'b>(&'a self, request: HttpRequest) -> Called<'b>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let request =
                request.map(|body| Full::new(body.as_bytes().cloned().unwrap_or_default()));
            let answer = self.0.send(request).await;
            let answer =
                answer.map_err(|cause| HttpError::new(HttpErrorKind::Request, NoAnswer(cause)))?;
            Ok(answer.map(HttpResponseBody::from))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HttpUrl;

    fn s3(bucket: &str, prefix: &str, endpoint: Option<&str>) -> S3 {
        S3 {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: endpoint.map(|url| HttpUrl::parse(url).unwrap()),
            region: None,
            ca: None,
            every: S3::EVERY,
            retention: None,
            mode: RetentionMode::Compliance,
        }
    }

    // REQ: L-3
    #[test]
    fn where_objects_go() {
        for (s3, expected) in [
            (
                s3("logs", "", None),
                "https://logs.s3.eu-north-1.amazonaws.com/",
            ),
            (
                s3("logs", "a/b", None),
                "https://logs.s3.eu-north-1.amazonaws.com/a/b/",
            ),
            (
                s3("my.logs", "a", None),
                "https://s3.eu-north-1.amazonaws.com/my.logs/a/",
            ),
            (
                s3("logs", "a", Some("http://127.0.0.1:9000")),
                "http://127.0.0.1:9000/logs/a/",
            ),
            (
                s3("logs", "", Some("https://store.example/x/")),
                "https://store.example/x/logs/",
            ),
        ] {
            assert_eq!(base(&s3, "eu-north-1"), expected);
        }
    }

    // REQ: L-3
    #[test]
    fn no_object_is_locked_for_longer_than_there_are_dates() {
        assert!(until(Duration::from_secs(86_400)).unwrap().ends_with('Z'));
        until(Duration::MAX).unwrap_err();
        until(Duration::from_secs(400_000_000_000)).unwrap_err();
    }
}
