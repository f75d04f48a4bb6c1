from django.db import migrations, models

from authsvc.online import AddIndexOnline


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('tokens', '0002_devices_and_codes'),
    ]

    operations = [
        AddIndexOnline(
            model_name='onetimetoken',
            index=models.Index(condition=models.Q(('purpose', 'undo_email')), fields=['address'], name='one_time_token_undo_address'),
        ),
    ]
