package msgraph

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
)

// Application is the id of the application that the tenant knows the caller as,
// in lower case: what its own audit names.
func (c *Client) Application(ctx context.Context) (string, error) {
	token, err := c.bearer(ctx)
	if err != nil {
		return "", err
	}
	return applicationOf(token)
}

// applicationOf reads the claim of a token that names its application: appid in
// tokens of version 1.0, azp in those of 2.0 (Microsoft, "Access token claims
// reference").
func applicationOf(token string) (string, error) {
	var claims struct {
		AppID string `json:"appid"`
		AZP   string `json:"azp"`
	}
	parts := strings.Split(token, ".")
	if len(parts) == 3 {
		if data, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil && json.Unmarshal(data, &claims) == nil {
			if claims.AppID != "" {
				return strings.ToLower(claims.AppID), nil
			}
			if claims.AZP != "" {
				return strings.ToLower(claims.AZP), nil
			}
		}
	}
	return "", errors.New("the token names no application, so its own writes cannot be told from others'")
}
