// Package probe says what a wave's devices must be healthy by, beyond the
// installer's exit, and writes the scripts that find out.
//
// A probe is a Windows PowerShell script that changes nothing and exits with 0
// where the device is healthy. Those that packages declare are the vendor's or
// the operator's own; services, crashes and unexpected restarts every package
// can be watched for, and their scripts are generated here. Every script first
// looks whether the release is there, by its detection rules: what a device says
// before it has a release says nothing of the release.
//
// Scripts run on the customer's machines as the system account. Names come from
// the catalog and are hostile until they are quoted.
package probe
