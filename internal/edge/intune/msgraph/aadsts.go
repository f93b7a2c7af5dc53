package msgraph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// maxSignInAnswer caps what is read of an answer that refuses a token.
const maxSignInAnswer = 64 << 10

// A signInError is what one of Entra's codes means to whoever runs packmill
// (Microsoft: "Microsoft Entra authentication and authorization error codes").
type signInError struct {
	codes []string
	kind  fleet.Kind
	what  string
	next  string // {consent}, {directory}, {audience} are filled in
}

func signInErrors() []signInError {
	const secrets = "Entra admin center › App registrations › the app › Certificates & secrets"
	const federated = secrets + " › Federated credentials"
	return []signInError{
		{[]string{"700016", "7000229", "650052"}, fleet.Refused, "the application is not known in the tenant",
			"an administrator of the tenant consents once: {consent}"},
		{[]string{"65001", "650051", "501051"}, fleet.Refused, "the tenant has not consented to the application's permissions",
			"an administrator of the tenant consents once: {consent}"},
		{[]string{"7000215"}, fleet.Refused, "the client secret is wrong",
			"put the secret's value, not its id, into AZURE_CLIENT_SECRET; make a new one under " + secrets},
		{[]string{"7000222"}, fleet.Refused, "the client secret has expired",
			"make a new one under " + secrets + " and put its value into AZURE_CLIENT_SECRET; a federated credential never expires"},
		{[]string{"700027"}, fleet.Refused, "the certificate is not one of the application's",
			"upload the certificate of AZURE_CLIENT_CERTIFICATE_PATH under " + secrets},
		{[]string{"90002", "900021", "900023", "50034"}, fleet.Invalid, "there is no tenant {directory} in this cloud",
			"correct intune: directory in tenant.cue (Entra admin center › Overview › Tenant ID), and intune: cloud if the tenant is not in the global one"},
		{[]string{"700213", "70021"}, fleet.Refused, "no federated credential of the application has the subject of this job",
			"compare the subject in the message with those under " + federated + ": repo:OWNER/NAME:ref:refs/heads/main, or repo:OWNER/NAME:environment:NAME for a job with an environment"},
		{[]string{"700211"}, fleet.Refused, "no federated credential of the application has the issuer of this job's token",
			"set the issuer to https://token.actions.githubusercontent.com under " + federated},
		{[]string{"700212"}, fleet.Refused, "no federated credential of the application has the audience of this job's token",
			"set the audience to {audience} under " + federated},
		{[]string{"700024"}, fleet.Refused, "the assertion is not valid at this time", "set this machine's clock right, and run again"},
		{[]string{"500011"}, fleet.Refused, "Graph of this cloud is not known in the tenant", "correct intune: cloud in tenant.cue: the tenant is in another one"},
		{[]string{"900382", "90072"}, fleet.Refused, "application and tenant are in different clouds",
			"register an application in the tenant's cloud, and set AZURE_CLIENT_ID with the cloud's name after it, AZURE_CLIENT_ID_USGOV for example"},
		{[]string{"7000112", "7000114"}, fleet.Refused, "the application is disabled", "enable it in Entra admin center › Enterprise applications › the app › Properties"},
		{[]string{"53003", "530035"}, fleet.Refused, "Conditional Access for workload identities blocks the application",
			"allow the addresses that packmill runs from, in the tenant's Conditional Access policies"},
		{[]string{"90033", "90025", "50196", "90006"}, fleet.Waiting, "Entra is busy", "run again"},
	}
}

var aadsts = regexp.MustCompile(`AADSTS(\d+)`)

// explain says what a refused sign-in means and what to do about it. What is no
// answer of the authority stays as it is: an outage, the end of the context, or
// an error that the assertion itself came with.
func (in SignIn) explain(ctx context.Context, err error) error {
	var known *fleet.Error
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.As(err, &known) {
		return known
	}
	text := signInText(err)
	if text == "" {
		return &fleet.Error{Op: "intune.token", Object: in.Directory, Kind: fleet.Internal, Err: fmt.Errorf("no token: %w", oneLine(err)),
			Hint: "see whether " + in.Cloud.Authority + " can be reached from here"}
	}
	e := &fleet.Error{Op: "intune.token", Object: in.Directory, Kind: fleet.Refused, Err: errors.New(text), Hint: "check the credentials that were configured for this tenant"}
	m := aadsts.FindStringSubmatch(text)
	if m == nil {
		return e
	}
	fill := strings.NewReplacer("{consent}", in.Cloud.Consent(in.Directory, in.ClientID), "{directory}", in.Directory, "{audience}", in.Cloud.Audience)
	for _, s := range signInErrors() {
		for _, code := range s.codes {
			if code == m[1] {
				e.Kind, e.Hint = s.kind, fill.Replace(s.next)
				e.Err = fmt.Errorf("%s (%s)", fill.Replace(s.what), text)
			}
		}
	}
	return e
}

// signInText is what the authority said, on one line and without its trace ids;
// "" when it did not answer.
func signInText(err error) string {
	var failed *azidentity.AuthenticationFailedError
	var status *transport.StatusError
	var body []byte
	switch {
	case errors.As(err, &failed) && failed.RawResponse != nil && failed.RawResponse.Body != nil && failed.RawResponse.StatusCode < 500:
		body, _ = io.ReadAll(io.LimitReader(failed.RawResponse.Body, maxSignInAnswer)) // what is there is told
	case errors.As(err, &status) && status.Status < 500 && status.Status != 429:
		body = status.Body
	}
	var doc struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &doc) != nil {
		if m := aadsts.FindStringIndex(err.Error()); m != nil {
			doc.Description = err.Error()[m[0]:]
		}
	}
	text := doc.Description
	if text == "" {
		text = doc.Error
	}
	for _, end := range []string{"Trace ID:", "\r", "\n", `","`} {
		text, _, _ = strings.Cut(text, end)
	}
	return strings.TrimSpace(text)
}

// oneLine is an error whose text has no line breaks: azidentity prints whole
// exchanges.
func oneLine(err error) error {
	text, _, more := strings.Cut(err.Error(), "\n")
	if !more {
		return err
	}
	return errors.New(strings.TrimSpace(text))
}
