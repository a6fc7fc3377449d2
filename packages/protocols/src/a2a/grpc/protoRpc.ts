// The messages of google.rpc in which gRPC answers errors. OpaqueStatus is a Status whose details are not looked into: those of
// other servers may be of types that are not known here.
export const protoRpc = `
package google.rpc;

message Status { int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3; }
message OpaqueStatus { int32 code = 1; string message = 2; repeated OpaqueAny details = 3; }
message OpaqueAny { string type_url = 1; bytes value = 2; }
message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
message RetryInfo { google.protobuf.Duration retry_delay = 1; }
message BadRequest { repeated FieldViolation field_violations = 1; }
message FieldViolation { string field = 1; string description = 2; }
`
