// Asks the official SDK for tokens in a pod with nothing configured, as the other programs of this folder do: each
// argument is CLIENT,KIND,ID; all of them are asked at once, and the answer is a line of JSON in the same order.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

const scope = "https://management.azure.com/.default"

type outcome struct {
	Token string `json:"token,omitempty"`
	Error string `json:"error,omitempty"`
}

func main() {
	asked := os.Args[1:]
	outcomes := make([]outcome, len(asked))
	var waiting sync.WaitGroup
	for i, ask := range asked {
		waiting.Go(func() { outcomes[i] = answer(strings.SplitN(ask, ",", 3)) })
	}
	waiting.Wait()
	if err := json.NewEncoder(os.Stdout).Encode(outcomes); err != nil {
		panic(err)
	}
}

func answer(ask []string) outcome {
	credential, err := credentialFor(ask[0], ask[1], ask[2])
	if err != nil {
		return outcome{Error: err.Error()}
	}
	token, err := credential.GetToken(context.Background(), policy.TokenRequestOptions{Scopes: []string{scope}})
	if err != nil {
		return outcome{Error: err.Error()}
	}
	return outcome{Token: token.Token}
}

func credentialFor(client, kind, id string) (azcore.TokenCredential, error) {
	if client == "default" {
		return azidentity.NewDefaultAzureCredential(nil)
	}
	options := &azidentity.ManagedIdentityCredentialOptions{}
	switch kind {
	case "none":
	case "clientId":
		options.ID = azidentity.ClientID(id)
	case "resourceId":
		options.ID = azidentity.ResourceID(id)
	case "objectId":
		options.ID = azidentity.ObjectID(id)
	default:
		return nil, fmt.Errorf("no kind of id is called %q", kind)
	}
	return azidentity.NewManagedIdentityCredential(options)
}
