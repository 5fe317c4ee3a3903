"""Asks the official SDKs for tokens in a pod with nothing configured, as the other programs of this folder do.

Each argument is CLIENT,KIND,ID; all of them are asked at once, and the answer is a line of JSON in the same order.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import msal
import requests
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

RESOURCE = "https://management.azure.com/"
SCOPE = RESOURCE + ".default"


def managed(kind, id):
    if kind == "none":
        credential = ManagedIdentityCredential()
    elif kind == "clientId":
        credential = ManagedIdentityCredential(client_id=id)
    else:
        key = {"resourceId": "resource_id", "objectId": "object_id"}[kind]
        credential = ManagedIdentityCredential(identity_config={key: id})
    return credential.get_token(SCOPE).token


def default(kind, id):
    options = {"managed_identity_client_id": id} if kind == "clientId" else {}
    return DefaultAzureCredential(**options).get_token(SCOPE).token


def with_msal(kind, id):
    identity = {
        "none": lambda: msal.SystemAssignedManagedIdentity(),
        "clientId": lambda: msal.UserAssignedManagedIdentity(client_id=id),
        "resourceId": lambda: msal.UserAssignedManagedIdentity(resource_id=id),
        "objectId": lambda: msal.UserAssignedManagedIdentity(object_id=id),
    }[kind]()
    client = msal.ManagedIdentityClient(identity, http_client=requests.Session())
    result = client.acquire_token_for_client(resource=RESOURCE)
    if "access_token" not in result:
        raise RuntimeError(f"{result.get('error')}: {result.get('error_description')}")
    return result["access_token"]


CLIENTS = {"default": default, "managed": managed, "msal": with_msal}


def answer(ask):
    client, kind, id = ask.split(",", 2)
    try:
        return {"token": CLIENTS[client](kind, id)}
    except Exception as error:
        return {"error": str(error)}


with ThreadPoolExecutor(max_workers=16) as pool:
    print(json.dumps(list(pool.map(answer, sys.argv[1:]))))
