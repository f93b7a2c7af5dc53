package msgraph

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// outage reports whether a token was not refused but could not be asked for: the
// authority is busy or was not reached, or its answer broke off. The credential
// may be as good as ever.
func outage(err error) bool {
	status := transport.StatusOf(err)
	var failed *azidentity.AuthenticationFailedError
	if errors.As(err, &failed) && failed.RawResponse != nil {
		status = failed.RawResponse.StatusCode
	}
	if status != 0 {
		return status == http.StatusTooManyRequests || status >= http.StatusInternalServerError
	}
	var network net.Error
	var address *url.Error
	return errors.As(err, &network) || errors.As(err, &address) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// tokenOp is the operation in errors about tokens.
const tokenOp = "intune.token"

// waitsForToken reports whether an error says that no token could be asked for:
// the next attempt may get one.
func waitsForToken(e *fleet.Error) bool {
	return e.Op == tokenOp && (e.Kind == fleet.Internal || e.Kind == fleet.Waiting)
}
