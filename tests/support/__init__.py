"""What tests share: `from tests.support.waiting import wait_until`."""
